interface Place {
  deliver: (() => void) | undefined;
}

/** Holds results back until those of earlier tasks of the same key were delivered. */
export class ResultOrder {
  private readonly places = new Map<string, Place[]>();

  /** Takes the next place; the returned function is to be called once with what delivers the result. */
  enter(key: string): (deliver: () => void) => void {
    const place: Place = { deliver: undefined };
    const places = this.places.get(key);
    if (places === undefined) this.places.set(key, [place]);
    else places.push(place);
    return (deliver) => {
      place.deliver = deliver;
      this.flush(key);
    };
  }

  private flush(key: string): void {
    const places = this.places.get(key);
    for (let first = places?.[0]; first?.deliver !== undefined; first = places?.[0]) {
      places?.shift();
      first.deliver();
    }
    // What was delivered may have entered again.
    if (places?.length === 0 && this.places.get(key) === places) this.places.delete(key);
  }
}

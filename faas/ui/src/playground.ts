import { byId, element } from './elements.js';
import { readReport, resultView } from './result-view.js';

/** The examples that fit best, where they are deployed. */
const forImages = 'classify-image';
const forFiles = 'compress-log';

/** Sends a file to a function, and shows what comes back. */
export class Playground {
  private readonly choice = byId('function', HTMLSelectElement);
  private readonly drop = byId('drop', HTMLLabelElement);
  private readonly input = byId('file', HTMLInputElement);
  private readonly result = byId('result', HTMLDivElement);
  private isChosen = false;
  private running: AbortController | undefined;

  constructor() {
    const { drop, input } = this;
    this.choice.addEventListener('change', () => {
      this.isChosen = true;
    });
    input.addEventListener('change', () => {
      this.play(input.files?.[0]);
      // The same file may be chosen again.
      input.value = '';
    });
    for (const name of ['dragenter', 'dragover'] as const) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add('over');
      });
    }
    drop.addEventListener('dragleave', () => drop.classList.remove('over'));
    drop.addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      this.play(event.dataTransfer?.files[0]);
    });
  }

  /** What may be chosen; touched only where it changed, so that an open list stays open. */
  show(names: readonly string[]): void {
    const { choice } = this;
    const known = [...choice.options].map(({ value }) => value);
    if (known.join() === names.join()) return;
    const { value } = choice;
    choice.replaceChildren(...names.map((name) => element('option', { value: name }, name)));
    if (names.includes(value)) choice.value = value;
  }

  private play(file: File | undefined): void {
    if (file === undefined) return;
    if (!this.isChosen) this.chooseFor(file);
    const functionName = this.choice.value;
    if (functionName === '') {
      this.say('There is no function to send it to; deploy one first.');
      return;
    }
    // What came before is of no interest any more.
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    this.say(`Sending ${file.name} to ${functionName}...`);
    call(functionName, file, running.signal)
      .then((shown) => {
        if (!running.signal.aborted) this.result.replaceChildren(...shown);
      })
      .catch((error: unknown) => {
        if (!running.signal.aborted) this.say(`${functionName}: ${(error as Error).message}`);
      });
  }

  private chooseFor(file: File): void {
    const wanted = file.type.startsWith('image/') ? forImages : forFiles;
    const isThere = [...this.choice.options].some(({ value }) => value === wanted);
    if (isThere) this.choice.value = wanted;
  }

  private say(text: string): void {
    this.result.replaceChildren(element('p', {}, text));
  }
}

async function call(
  functionName: string,
  file: File,
  signal: AbortSignal,
): Promise<readonly Node[]> {
  const startedAt = performance.now();
  const response = await fetch(`/function/${encodeURIComponent(functionName)}`, {
    method: 'POST',
    body: file,
    headers: { 'content-type': file.type || 'application/octet-stream' },
    signal,
  });
  const answer = await response.blob();
  return resultView({
    functionName,
    file,
    status: response.status,
    contentType: response.headers.get('content-type') ?? '',
    answer,
    report: readReport(response.headers.get('x-axle-report')),
    tookMs: performance.now() - startedAt,
  });
}

/** What a task took of a device that gave a result for it. */
export interface DeviceUse {
  readonly tenant: string;
  /** Of the call: 'classify', 'compress', 'vendor.example/blur'. */
  readonly op: string;
  /** Its name; undefined: the call runs none. */
  readonly model: string | undefined;
  /** Its id. */
  readonly device: string;
  /** Computing, without waiting and transfer; of a batch, the task's share. */
  readonly deviceMs: number;
}

/** Who counts what tenants use of devices: cheaper than the channel `axle.task`. What it throws, the call fails with. */
export class DeviceUses {
  /** Undefined: nobody does. May change at any time. */
  listener: ((use: DeviceUse) => void) | undefined = undefined;
}

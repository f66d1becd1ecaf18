/**
 * Where `@opentelemetry/api` keeps what an SDK registers with it, in all its versions 1.x. To look there costs nothing;
 * to import the API would, for everyone who has it installed and no SDK.
 */
const openTelemetryGlobal = Symbol.for('opentelemetry.js.api.1');

let decided = false;

/** Somebody enabled tracing in their own way, which `connect` leaves as it is. */
export function forgoAutomaticTracing(): void {
  decided = true;
}

/**
 * Enables tracing where an OpenTelemetry SDK has registered a tracer provider, once in a process, unless
 * `OTEL_NODE_DISABLED_INSTRUMENTATIONS` names axle.
 */
export async function traceWhereSdkIsRegistered(): Promise<void> {
  if (decided || !isSdkRegistered() || isDisabled()) return;
  decided = true;
  try {
    const { enableTracing } = await import('./tracing.js');
    enableTracing();
  } catch (error) {
    process.emitWarning(
      `axle makes no spans, though an OpenTelemetry SDK is registered: ${String(error)}. Install @opentelemetry/api beside axle.`,
    );
  }
}

function isSdkRegistered(): boolean {
  const api = (globalThis as Record<symbol, { readonly trace?: unknown } | undefined>)[
    openTelemetryGlobal
  ];
  return api?.trace !== undefined;
}

/** The variable is that of @opentelemetry/auto-instrumentations-node. */
function isDisabled(): boolean {
  const names = process.env['OTEL_NODE_DISABLED_INSTRUMENTATIONS'] ?? '';
  return names.split(',').some((name) => name.trim() === 'axle');
}

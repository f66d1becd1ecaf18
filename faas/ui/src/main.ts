import type { UiState } from '../../src/doors/ui/ui-state.js';
import { byId } from './elements.js';
import { functionTable } from './function-table.js';
import { Playground } from './playground.js';
import { poolView } from './pool-view.js';
import { Rates } from './rates.js';

const pollMs = 1000;

const status = byId('status', HTMLParagraphElement);
const functions = byId('functions', HTMLDivElement);
const pool = byId('pool', HTMLDivElement);
const playground = new Playground();
const rates = new Rates();

async function look(): Promise<void> {
  const response = await fetch('/ui/state', { cache: 'no-store' });
  if (!response.ok) throw new Error(`the front end answers ${response.status}`);
  const state = (await response.json()) as UiState;
  const shown = rates.add(state);
  functions.replaceChildren(functionTable(shown));
  pool.replaceChildren(...poolView(state));
  playground.show(shown.map(({ name }) => name));
}

function say(text: string, isBad: boolean): void {
  // Said once: a screen reader would read it again each second.
  if (status.textContent !== text) status.textContent = text;
  status.className = isBad ? 'bad' : '';
}

async function watch(): Promise<void> {
  try {
    // Nobody looks at a page in the background.
    if (!document.hidden) await look();
    say('Live', false);
  } catch (error) {
    say(`No answer: ${(error as Error).message}`, true);
  }
  setTimeout(() => void watch(), pollMs);
}

void watch();

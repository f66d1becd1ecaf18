// For those who write plugins: what holds one against the rules of axle/plugin.h.
export { checkPlugin, pluginRules } from './plugin-check/check-plugin.js';
export type { CheckOptions, RuleResult } from './plugin-check/check-plugin.js';
export type { CheckedPlugin } from './plugin-check/rule.js';

import type { Argument, Command, Option } from 'commander';

/** What a shell has to know to complete a command line: commander's tree without its machinery. */
export interface CommandNode {
  /** 'axle', 'axle compress'. */
  readonly path: readonly string[];
  readonly description: string;
  readonly options: readonly OptionNode[];
  readonly argument: ValueKind;
  readonly commands: readonly CommandNode[];
}

export interface OptionNode {
  /** '-o', '--output'. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Undefined for a flag. */
  readonly value: ValueKind | undefined;
}

/** What stands for a value. */
export type ValueKind =
  | { readonly kind: 'file' | 'directory' | 'none' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] };

export function commandTree(
  command: Command,
  path: readonly string[] = [command.name()],
): CommandNode {
  const help = command.createHelp();
  return {
    path,
    description: oneLine(command.description()),
    options: [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)].map(
      optionNode,
    ),
    argument: argumentKind(command.registeredArguments),
    commands: help
      .visibleCommands(command)
      .map((child) => commandTree(child, [...path, child.name()])),
  };
}

/** The tree as a list, each command before its own. */
export function allCommands(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(allCommands)];
}

function optionNode(option: Option): OptionNode {
  const takesValue = option.required || option.optional;
  const flags = [option.short, option.long].filter((flag) => flag !== undefined && flag !== null);
  return {
    flags,
    description: oneLine(option.description),
    value: takesValue ? valueKind(option.argChoices, placeholderOf(option.flags)) : undefined,
  };
}

function argumentKind(all: readonly Argument[]): ValueKind {
  const [first] = all;
  return first === undefined ? { kind: 'none' } : valueKind(first.argChoices, first.name());
}

/** The placeholder in the help says what a value is: `<file>`, `<dir>`. */
function valueKind(choices: readonly string[] | undefined, placeholder: string): ValueKind {
  if (choices !== undefined) return { kind: 'choice', choices };
  if (/dir/.test(placeholder)) return { kind: 'directory' };
  return { kind: /file|image|model/.test(placeholder) ? 'file' : 'none' };
}

function placeholderOf(flags: string): string {
  return /[<[](.+)[>\]]/.exec(flags)?.[1] ?? '';
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

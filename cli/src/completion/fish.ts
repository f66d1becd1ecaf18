import type { CommandNode, OptionNode } from './command-tree.js';

/** A completion script for fish. */
export function fishCompletion(root: CommandNode): string {
  const [name = ''] = root.path;
  const names = root.commands.map((node) => node.path.at(-1)).join(' ');
  const none = `not __fish_seen_subcommand_from ${names}`;
  const complete = (condition: string, ...rest: string[]) =>
    `complete -c ${name} -n ${quote(condition)} ${rest.filter((part) => part !== '').join(' ')}`;
  const lines = [
    `# fish completion for ${name}: ${name} completion fish | source`,
    `complete -c ${name} -f`,
    ...root.options.map((option) => complete(none, optionWords(option))),
  ];
  for (const node of root.commands) {
    const command = node.path.at(-1) ?? '';
    const inside = `__fish_seen_subcommand_from ${command}`;
    lines.push(complete(none, '-a', quote(command), '-d', quote(node.description)));
    lines.push(...node.options.map((option) => complete(inside, optionWords(option))));
    if (node.argument.kind === 'file') lines.push(complete(inside, '-F'));
    if (node.argument.kind === 'choice') {
      lines.push(complete(inside, '-a', quote(node.argument.choices.join(' '))));
    }
    if (node.commands.length > 0) {
      const children = node.commands.map((child) => child.path.at(-1)).join(' ');
      lines.push(complete(inside, '-a', quote(children)));
    }
  }
  return `${lines.join('\n')}\n`;
}

function optionWords(option: OptionNode): string {
  const flags = option.flags.map((flag) =>
    flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  return [...flags, '-d', quote(option.description), ...valueWords(option)].join(' ');
}

function valueWords({ value }: OptionNode): string[] {
  switch (value?.kind) {
    case undefined:
      return [];
    case 'file':
      return ['-r', '-F'];
    case 'directory':
      return ['-x', '-a', quote('(__fish_complete_directories)')];
    case 'choice':
      return ['-x', '-a', quote(value.choices.join(' '))];
    case 'none':
      return ['-x'];
  }
}

function quote(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}

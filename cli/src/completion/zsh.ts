import type { CommandNode, OptionNode, ValueKind } from './command-tree.js';

/** A completion script for zsh, to be sourced or put in a folder of `fpath` as `_axle`. */
export function zshCompletion(root: CommandNode): string {
  const [name = ''] = root.path;
  const described = root.commands
    .map((node) => `    ${quote(`${escapeColon(lastOf(node))}:${node.description}`)}\n`)
    .join('');
  const cases = root.commands
    .map(
      (node) =>
        `        ${lastOf(node)})\n          _arguments -s -S ${specs(node)}\n          ;;\n`,
    )
    .join('');
  return `#compdef ${name}
# zsh completion for ${name}: source <(${name} completion zsh)
_${name}() {
  local context state state_descr line
  typeset -A opt_args
  local -a commands=(
${described}  )
  _arguments -C ${root.options.map(optionSpecs).join(' ')} '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest)
      case $line[1] in
${cases}      esac
      ;;
  esac
}
if [[ $funcstack[1] == _${name} ]]; then
  _${name} "$@"
else
  compdef _${name} ${name}
fi
`;
}

function specs(node: CommandNode): string {
  const action = zshAction(node.argument);
  const positional = action === '' ? [] : [quote(`*: :${action}`)];
  const commands =
    node.commands.length > 0 ? [quote(`1: :(${node.commands.map(lastOf).join(' ')})`)] : [];
  return [...node.options.map(optionSpecs), ...commands, ...positional].join(' ');
}

function optionSpecs(option: OptionNode): string {
  const description = option.description.replace(/[[\]:\\]/g, '\\$&');
  const value = option.value === undefined ? '' : `: :${zshAction(option.value)}`;
  return option.flags.map((flag) => quote(`${flag}[${description}]${value}`)).join(' ');
}

function zshAction(value: ValueKind): string {
  switch (value.kind) {
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'choice':
      return `(${value.choices.join(' ')})`;
    case 'none':
      return '';
  }
}

function lastOf(node: CommandNode): string {
  return node.path.at(-1) ?? '';
}

function escapeColon(text: string): string {
  return text.replaceAll(':', '\\:');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

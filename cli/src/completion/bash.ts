import { allCommands, type CommandNode, type ValueKind } from './command-tree.js';

/** A completion script for bash 4 and newer; it needs no bash-completion package. */
export function bashCompletion(root: CommandNode): string {
  const [name = ''] = root.path;
  const cases = allCommands(root).map(
    (node) => `    '${node.path.slice(1).join(' ')}')
      options='${node.options.flatMap((option) => option.flags).join(' ')}'
      commands='${node.commands.map((child) => child.path.at(-1)).join(' ')}'
      value='${bashKind(node.argument)}'
      case $previous in
${optionCases(node)}        *) ;;
      esac
      ;;`,
  );
  return `# bash completion for ${name}: source <(${name} completion bash)
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command='' options='' commands='' value='' option_value='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
${allCommands(root)
  .slice(1)
  .map((node) => `      ${node.path.at(-1)}) [[ -z $command ]] && command=$word ;;\n`)
  .join('')}      *) ;;
    esac
  done
  case $command in
${cases.join('\n')}
  esac
  COMPREPLY=()
  if [[ -n $option_value ]]; then
    value=$option_value
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  elif [[ -n $commands ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
    return
  fi
  case $value in
    file) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    directory) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    none) ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$value" -- "$current") ;;
  esac
}
complete -F _${name} ${name}
`;
}

function optionCases(node: CommandNode): string {
  return node.options
    .filter((option) => option.value !== undefined)
    .map((option) => {
      const kind = bashKind(option.value ?? { kind: 'none' });
      return `        ${option.flags.join('|')}) option_value='${kind}' ;;\n`;
    })
    .join('');
}

/** A word for the last case of the script; choices stand for themselves. */
function bashKind(value: ValueKind): string {
  return value.kind === 'choice' ? value.choices.join(' ') : value.kind;
}

import { Argument, type Command } from 'commander';

import { bashCompletion } from '../completion/bash.js';
import { commandTree, type CommandNode } from '../completion/command-tree.js';
import { fishCompletion } from '../completion/fish.js';
import { zshCompletion } from '../completion/zsh.js';
import { print } from '../standard-output.js';

const generators = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
type Shell = keyof typeof generators;

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices(Object.keys(generators)))
    .action(async (shell: Shell) => {
      const generate: (root: CommandNode) => string = generators[shell];
      await print(generate(commandTree(program)));
    })
    .addHelpText(
      'after',
      `
Examples:
  $ echo 'source <(axle completion bash)' >> ~/.bashrc
  $ echo 'source <(axle completion zsh)' >> ~/.zshrc
  $ axle completion fish > ~/.config/fish/completions/axle.fish`,
    );
}

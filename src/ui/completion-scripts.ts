/**
 * The scripts of `hoop completion`: thin, because all that is known is in `hoop complete`, which
 * prints a candidate and its description a line, or `:files` or `:commands` for what shells do.
 */

const BASH = `# bash completion for hoop: source <(hoop completion bash)
_hoop() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :files) compopt -o filenames; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur") ;;
      :commands) mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$cur") ;;
      ?*) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _hoop hoop
`;

const ZSH = `#compdef hoop
# zsh completion for hoop: source <(hoop completion zsh), after compinit
_hoop() {
  local line
  local -a candidates
  for line in "\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case "$line" in
      :files) _files ;;
      :commands) _command_names -e ;;
      ?*) candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}") ;;
    esac
  done
  if (( \${#candidates} )); then _describe 'hoop' candidates; fi
}
compdef _hoop hoop
`;

const FISH = `# fish completion for hoop: hoop completion fish > ~/.config/fish/completions/hoop.fish
function __hoop_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in ($words[1] complete -- $words[2..-1] "$typed" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$typed"
            case ':commands'
                __fish_complete_command
            case '*'
                echo $line
        end
    end
end
complete -c hoop -f -a '(__hoop_complete)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<string, string>> = {
  bash: BASH,
  zsh: ZSH,
  fish: FISH,
};

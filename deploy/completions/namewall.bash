# Completion of namewall(1) for bash: /usr/share/bash-completion/completions/namewall

_namewall_workloads() {
  namewall list --names 2>/dev/null
}

_namewall() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command=${COMP_WORDS[1]-} action=${COMP_WORDS[2]-}
  # ":" and "=" may break words (COMP_WORDBREAKS): a workload's name has colons.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n : -c current -p previous 2>/dev/null
  fi
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "run restrict check explain doctor import status list show sets events why top test reload arm
      teardown disarm unit --help --version" -- "$current")
    return
  fi

  case $previous in
    --policy)
      if [[ $command != show ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
      fi
      ;;
    --host | --answers | --events | --save | --socket | --cgroup | --pin-directory | --root)
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --workload)
      mapfile -t COMPREPLY < <(compgen -W "$(_namewall_workloads)" -- "$current")
      declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
      return
      ;;
    --user)
      mapfile -t COMPREPLY < <(compgen -u -- "$current")
      return
      ;;
    --unit)
      mapfile -t COMPREPLY < <(compgen -W "$(systemctl list-units --type=service --plain --no-legend 2>/dev/null |
        cut -d ' ' -f 1)" -- "$current")
      return
      ;;
    --keep | --allow | --deny | --label | --reason | --since | --interval | --pid | --name)
      return
      ;;
  esac

  local options=--help words=
  case $command in
    run)
      options+=" --policy --allow --deny --host --backend --audit --user --keep --events --quiet --json --stop-on-refusal --save"
      ;;
    restrict) options+=" --allow --allow-nothing --cooperative --label --quiet --socket" ;;
    check) options+=" --host --expand --strict --diff --json" ;;
    explain) options+=" --policy --workload --answers --host --json --socket" ;;
    doctor) options+=" --cgroup --json --socket" words=workloads ;;
    import)
      if ((COMP_CWORD == 2)); then
        options="cilium k8s spin --help"
      else
        case ${COMP_WORDS[2]} in
          spin) options+=" --component --var --sockets --strict --target --json" ;;
          *) options+=" --name --private --json" ;;
        esac
        words=files
      fi
      ;;
    status | reload) options+=" --json --socket" ;;
    list) options+=" --rules --names --json --socket" ;;
    show) options+=" --policy --json --socket" words=workloads ;;
    sets) options+=" --repair --pin-directory --json --socket" words=workloads ;;
    events) options+=" --follow --workload --reason --since --json --socket" ;;
    why | test) options+=" --json --socket" words=workloads ;;
    top) options+=" --once --interval --json --socket" ;;
    arm)
      options+=" --cgroup --unit --pid --self --policy --name --allow-partial --host --pin-directory --user --json
        --socket"
      ;;
    teardown | disarm) options+=" --cgroup --all --reason --pin-directory --user --json --socket" words=workloads ;;
    unit)
      if ((COMP_CWORD == 2)); then
        options="enable disable list --help"
      elif [[ $action == enable ]]; then
        options+=" --policy --allow-partial --root"
      else
        options+=" --root"
      fi
      ;;
    *) return ;;
  esac
  if [[ $current == -* || (($command == unit || $command == import) && $COMP_CWORD == 2) ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  elif [[ $words == workloads ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_namewall_workloads)" -- "$current")
    declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
  elif [[ $command == check || $words == files ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}

complete -F _namewall namewall

# Completion of namewall(1) for fish: /usr/share/fish/vendor_completions.d/namewall.fish

function __namewall_workloads
    namewall list --names 2>/dev/null
end

function __namewall_services
    systemctl list-units --type=service --plain --no-legend 2>/dev/null | string split --fields 1 ' '
end

complete -c namewall -f
complete -c namewall -l help -d 'print help'
complete -c namewall -n __fish_use_subcommand -l version -d 'print the version'

complete -c namewall -n __fish_use_subcommand -a run -d 'run a command that reaches only what its policy names'
complete -c namewall -n __fish_use_subcommand -a restrict -d 'run a command with less reach than the caller has'
complete -c namewall -n __fish_use_subcommand -a check -d 'check policy files'
complete -c namewall -n __fish_use_subcommand -a explain -d 'say whether a target is allowed'
complete -c namewall -n __fish_use_subcommand -a doctor -d 'prove what holds on this host'
complete -c namewall -n __fish_use_subcommand -a import -d 'turn a policy of another system into one of namewall'
complete -c namewall -n __fish_use_subcommand -a status -d 'say whether the workloads are really held'
complete -c namewall -n __fish_use_subcommand -a list -d 'list the workloads'
complete -c namewall -n __fish_use_subcommand -a show -d 'show a workload'
complete -c namewall -n __fish_use_subcommand -a sets -d 'list what the kernel itself holds, and what differs'
complete -c namewall -n __fish_use_subcommand -a events -d 'print refusals and notices'
complete -c namewall -n __fish_use_subcommand -a why -d 'say why something was refused'
complete -c namewall -n __fish_use_subcommand -a top -d 'watch the workloads'
complete -c namewall -n __fish_use_subcommand -a test -d 'prove now that a workload is held'
complete -c namewall -n __fish_use_subcommand -a reload -d 'have the daemon read its policies again'
complete -c namewall -n __fish_use_subcommand -a arm -d 'hold a cgroup to a policy'
complete -c namewall -n __fish_use_subcommand -a teardown -d 'lift enforcement'
complete -c namewall -n __fish_use_subcommand -a disarm -d 'the same as teardown'
complete -c namewall -n __fish_use_subcommand -a unit -d 'have systemd services arm themselves'

complete -c namewall -n '__fish_seen_subcommand_from run' -l policy -rF
complete -c namewall -n '__fish_seen_subcommand_from run' -l allow -x
complete -c namewall -n '__fish_seen_subcommand_from run' -l deny -x
complete -c namewall -n '__fish_seen_subcommand_from run' -l host -rF
complete -c namewall -n '__fish_seen_subcommand_from run' -l backend -xa 'bpf nft'
complete -c namewall -n '__fish_seen_subcommand_from run' -l audit
complete -c namewall -n '__fish_seen_subcommand_from run' -l user -xa '(__fish_complete_users)'
complete -c namewall -n '__fish_seen_subcommand_from run' -l keep -x
complete -c namewall -n '__fish_seen_subcommand_from run' -l events -rF
complete -c namewall -n '__fish_seen_subcommand_from run' -l quiet
complete -c namewall -n '__fish_seen_subcommand_from run' -l json
complete -c namewall -n '__fish_seen_subcommand_from run' -l stop-on-refusal
complete -c namewall -n '__fish_seen_subcommand_from run' -l save -rF

complete -c namewall -n '__fish_seen_subcommand_from restrict' -l allow -x
complete -c namewall -n '__fish_seen_subcommand_from restrict' -l allow-nothing
complete -c namewall -n '__fish_seen_subcommand_from restrict' -l cooperative
complete -c namewall -n '__fish_seen_subcommand_from restrict' -l label -x
complete -c namewall -n '__fish_seen_subcommand_from restrict' -l quiet
complete -c namewall -n '__fish_seen_subcommand_from restrict' -l socket -rF

complete -c namewall -n '__fish_seen_subcommand_from check' -l host -rF
complete -c namewall -n '__fish_seen_subcommand_from check' -l expand
complete -c namewall -n '__fish_seen_subcommand_from check' -l strict
complete -c namewall -n '__fish_seen_subcommand_from check' -l diff -rF
complete -c namewall -n '__fish_seen_subcommand_from check' -l json

complete -c namewall -n '__fish_seen_subcommand_from explain' -l policy -rF
complete -c namewall -n '__fish_seen_subcommand_from explain' -l workload -xa '(__namewall_workloads)'
complete -c namewall -n '__fish_seen_subcommand_from explain' -l answers -rF
complete -c namewall -n '__fish_seen_subcommand_from explain' -l host -rF
complete -c namewall -n '__fish_seen_subcommand_from explain' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from explain' -l json

complete -c namewall -n '__fish_seen_subcommand_from doctor' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from doctor' -l json

complete -c namewall -n '__fish_seen_subcommand_from import; and not __fish_seen_subcommand_from cilium k8s spin' -a 'cilium k8s spin'
complete -c namewall -n '__fish_seen_subcommand_from import; and __fish_seen_subcommand_from cilium k8s spin' -F
complete -c namewall -n '__fish_seen_subcommand_from import; and __fish_seen_subcommand_from spin' -l component -x
complete -c namewall -n '__fish_seen_subcommand_from import; and __fish_seen_subcommand_from spin' -l var -x
complete -c namewall -n '__fish_seen_subcommand_from import; and __fish_seen_subcommand_from spin' -l sockets -xa 'all strict'
complete -c namewall -n '__fish_seen_subcommand_from import; and __fish_seen_subcommand_from spin' -l strict
complete -c namewall -n '__fish_seen_subcommand_from import; and __fish_seen_subcommand_from spin' -l target -x
complete -c namewall -n '__fish_seen_subcommand_from import' -l name -x
complete -c namewall -n '__fish_seen_subcommand_from import' -l private
complete -c namewall -n '__fish_seen_subcommand_from import' -l json

complete -c namewall -n '__fish_seen_subcommand_from status' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from status' -l json

complete -c namewall -n '__fish_seen_subcommand_from reload' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from reload' -l json

complete -c namewall -n '__fish_seen_subcommand_from why' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from why' -l json

complete -c namewall -n '__fish_seen_subcommand_from test' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from test' -l json

complete -c namewall -n '__fish_seen_subcommand_from list' -l rules
complete -c namewall -n '__fish_seen_subcommand_from list' -l names
complete -c namewall -n '__fish_seen_subcommand_from list' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from list' -l json

complete -c namewall -n '__fish_seen_subcommand_from sets' -l repair
complete -c namewall -n '__fish_seen_subcommand_from sets' -l pin-directory -rF
complete -c namewall -n '__fish_seen_subcommand_from sets' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from sets' -l json
complete -c namewall -n '__fish_seen_subcommand_from show' -l policy
complete -c namewall -n '__fish_seen_subcommand_from show' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from show' -l json

complete -c namewall -n '__fish_seen_subcommand_from events' -s f -l follow
complete -c namewall -n '__fish_seen_subcommand_from events' -l workload -xa '(__namewall_workloads)'
complete -c namewall -n '__fish_seen_subcommand_from events' -l reason -x
complete -c namewall -n '__fish_seen_subcommand_from events' -l since -x
complete -c namewall -n '__fish_seen_subcommand_from events' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from events' -l json

complete -c namewall -n '__fish_seen_subcommand_from top' -l once
complete -c namewall -n '__fish_seen_subcommand_from top' -l interval -x
complete -c namewall -n '__fish_seen_subcommand_from top' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from top' -l json

complete -c namewall -n '__fish_seen_subcommand_from doctor' -l cgroup -rF
complete -c namewall -n '__fish_seen_subcommand_from arm' -l cgroup -rF
complete -c namewall -n '__fish_seen_subcommand_from arm' -l unit -xa '(__namewall_services)'
complete -c namewall -n '__fish_seen_subcommand_from arm' -l pid -x
complete -c namewall -n '__fish_seen_subcommand_from arm' -l self
complete -c namewall -n '__fish_seen_subcommand_from arm' -l policy -rF
complete -c namewall -n '__fish_seen_subcommand_from arm' -l name -x
complete -c namewall -n '__fish_seen_subcommand_from arm' -l allow-partial
complete -c namewall -n '__fish_seen_subcommand_from arm' -l host -rF
complete -c namewall -n '__fish_seen_subcommand_from arm' -l pin-directory -rF
complete -c namewall -n '__fish_seen_subcommand_from arm' -l user -xa '(__fish_complete_users)'
complete -c namewall -n '__fish_seen_subcommand_from arm' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from arm' -l json

complete -c namewall -n '__fish_seen_subcommand_from teardown disarm' -l cgroup -rF
complete -c namewall -n '__fish_seen_subcommand_from teardown disarm' -l all
complete -c namewall -n '__fish_seen_subcommand_from teardown disarm' -l reason -x
complete -c namewall -n '__fish_seen_subcommand_from teardown disarm' -l pin-directory -rF
complete -c namewall -n '__fish_seen_subcommand_from teardown disarm' -l user -xa '(__fish_complete_users)'
complete -c namewall -n '__fish_seen_subcommand_from teardown disarm' -l socket -rF
complete -c namewall -n '__fish_seen_subcommand_from teardown disarm' -l json

complete -c namewall -n '__fish_seen_subcommand_from unit' -l policy -rF
complete -c namewall -n '__fish_seen_subcommand_from unit' -l allow-partial
complete -c namewall -n '__fish_seen_subcommand_from unit' -l root -rF

complete -c namewall -n '__fish_seen_subcommand_from doctor show sets why test teardown disarm' -a '(__namewall_workloads)'
complete -c namewall -n '__fish_seen_subcommand_from check' -F
complete -c namewall -n '__fish_seen_subcommand_from unit; and not __fish_seen_subcommand_from enable disable list' -a 'enable disable list'
complete -c namewall -n '__fish_seen_subcommand_from unit; and __fish_seen_subcommand_from enable disable' -a '(__namewall_services)'

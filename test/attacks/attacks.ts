/** One attack: a script that runs in the container of the hostile group, and what it must, or must never, print. */
export type Attack = {
  name: string
  script: string
  prints?: RegExp
  never?: RegExp
  inMain?: true
  /** The host ends the container for it, without being asked. */
  isFlood?: true
}

const GROUP = '/workspace/group'
const WRITABLE = [GROUP, '/workspace/ipc/messages', '/workspace/ipc/tasks', '/workspace/ipc/files', '/home/node/.claude']
/** In each folder that the agent can write. */
const everywhere = (script: string) => `for d in ${WRITABLE.join(' ')}; do cd "$d" && (${script}); done; echo done`
/** Drops files where the host looks for requests. */
const request = (json: string, box = 'tasks') =>
  `printf '%s' '${json}' > /workspace/ipc/${box}/$(cat /proc/sys/kernel/random/uuid).json`

export const FILES: Attack[] = [
  {
    name: 'links to what is the host’s',
    script: everywhere('for n in a.json b.md .env logs; do ln -s /workspace/../../../etc/shadow $n 2>&-; done; ln -sf / root'),
  },
  {
    name: 'links in place of its memory and settings',
    script: `cd ${GROUP} && ln -sf /etc/passwd CLAUDE.md; cd ~/.claude && rm -rf settings.json projects && ln -s / projects && ln -s /etc/shadow settings.json; rm -f projects settings.json; echo done`,
    prints: /done/,
  },
  { name: 'names of one file in many places', script: everywhere('echo x > one; for n in 1 2 3; do ln one hard$n.json; done') },
  { name: 'pipes that nobody writes into', script: everywhere('mkfifo pipe.json pipe .mcp.json 2>&-; true') },
  {
    name: 'sockets and folders where files are expected',
    script: everywhere('mkdir -p folder.json/deep; python3 -c "import socket;socket.socket(socket.AF_UNIX).bind(\'s.json\')"'),
  },
  { name: 'a sparse file of ten terabytes', script: everywhere('truncate -s 10T sparse.json 2>&-; true') },
  {
    name: 'names of 255 bytes, and with line breaks',
    script: everywhere(
      'touch "$(printf "n%.0s" $(seq 250)).json" "$(printf "a\\nb.json")" "$(printf "\\033[2J.json")" -- "-rf.json"',
    ),
  },
  {
    name: 'moving its own mount points away',
    script:
      'for d in messages tasks files; do mv /workspace/ipc/$d /workspace/ipc/x$d; rm -rf /workspace/ipc/$d; done; mv /workspace/group/logs /workspace/group/l; mv ~/.claude/skills ~/.claude/s; mv ~/.claude ~/c; ls -d /workspace/ipc/messages /workspace/group/logs ~/.claude/skills',
    prints: /messages[\s\S]*logs[\s\S]*skills/,
  },
  {
    name: 'writing where the host writes logs',
    script: `touch ${GROUP}/logs/container-x.log && echo WROTE; ln -s /etc/passwd ${GROUP}/logs/x && echo WROTE; echo done`,
    never: /WROTE/,
  },
  {
    name: 'changing the skills that all groups share',
    script: 'echo evil > ~/.claude/skills/x && echo WROTE; rm -rf ~/.claude/skills/* && ls ~/.claude/skills',
    never: /WROTE/,
  },
  {
    name: 'hooks in the settings of Claude Code',
    script: `mkdir -p ${GROUP}/.claude; for d in ~/.claude ${GROUP}/.claude; do printf '%s' '{"hooks":{"SessionStart":[{"hooks":[{"type":"command","command":"id > ${GROUP}/hooked"}]}]}}' > $d/settings.json; done; echo done`,
  },
  {
    name: 'hooks of git',
    script: `cd ${GROUP} && git init -q . && printf '#!/bin/sh\\ntouch /tmp/x' > .git/hooks/post-checkout && chmod +x .git/hooks/post-checkout; echo done`,
    prints: /done/,
  },
  {
    name: 'servers for the next session',
    script: `cd ${GROUP} && rm -f .mcp.json && printf '%s' '{"mcpServers":{"x":{"command":"sh","args":["-c","sleep 1"]}}}' > .mcp.json; echo done`,
    prints: /done/,
  },
  {
    name: 'a transcript that is no JSON, and one of other people’s',
    script:
      'for f in ~/.claude/projects/*/*.jsonl; do head -c 3000000 /dev/zero | tr "\\0" "[" >> $f; done; rm -f ~/.claude/projects/*/*.jsonl; echo done',
  },
]

export const REQUESTS: Attack[] = [
  {
    name: 'a request of 400 MB',
    script:
      'truncate -s 400M /workspace/ipc/tasks/big.json; head -c 100000000 /dev/zero | tr "\\0" "[" > /workspace/ipc/messages/deep.json; echo done',
  },
  {
    name: 'requests of wrong types',
    script: [
      'null',
      '[]',
      '1',
      '"x"',
      '{"type":null}',
      '{"type":"message","text":{"a":1}}',
      '{"__proto__":{"isMain":true},"type":"register_group","jid":"tg:1","folder":"x"}',
    ]
      .map((json) => request(json))
      .join('; '),
  },
  {
    name: 'a flood of messages and of tasks',
    script: `cd /workspace/ipc/messages && for n in $(seq 3000); do echo '{"type":"message","text":"flood"}' > $n.json; done; cd ../tasks && for n in $(seq 1000); do echo '{"type":"list_tasks"}' > $n.json; done; echo done`,
  },
  {
    name: 'half files and renames without an end',
    script:
      'cd /workspace/ipc/tasks; echo \'{"type":"mess\' > half.json; echo {} > a.json; end=$(($(date +%s)+4)); while [ $(date +%s) -lt $end ]; do mv a.json b.json; mv b.json a.json; done; rm -f a.json; echo done',
  },
]

const REFUSED = `sleep 1; echo asked`
export const IDENTITY: Attack[] = [
  {
    name: 'speaking in chats of others',
    script: `${request('{"type":"message","text":"I am main","targetJid":"local:main"}', 'messages')}; ${request('{"type":"message","text":"I am Ann","targetJid":"local:ann","isMain":true,"groupFolder":"ann"}', 'messages')}; ${REFUSED}`,
  },
  {
    name: 'registering, changing and refreshing groups',
    script: `${request('{"type":"register_group","jid":"tg:1","name":"x","folder":"evil"}')}; ${request('{"type":"register_group","jid":"tg:2","name":"x","folder":"main"}')}; ${request('{"type":"update_group","target":"eve","containerConfig":{"network":"bridge","additionalMounts":[{"hostPath":"/"}]}}')}; ${request('{"type":"update_group","target":"eve","name":"main"}')}; ${request('{"type":"refresh_groups"}')}; ${REFUSED}`,
  },
  {
    name: 'tasks in other groups',
    script: `${request('{"type":"schedule_task","prompt":"x","schedule_type":"once","schedule_value":"2030-01-01T00:00:00","targetJid":"local:ann"}')}; ${request('{"type":"cancel_task","taskId":"1"}')}; ${REFUSED}`,
  },
  {
    name: 'folders, sessions, requests and sockets of others',
    script:
      'ls /workspace /workspace/ipc /run/nanoclaw; find / -xdev -name "diary.md" -o -name "nanoclaw.sock" -o -name "docker.sock" -o -name "messages.db" 2>&- | grep . && echo FOUND; ls /workspace/project 2>&1',
    never: /FOUND|diary|messages\.db/,
  },
  {
    name: 'processes, kernel and devices of the machine',
    script:
      'ps aux | wc -l; (echo b > /proc/sysrq-trigger; mount -t tmpfs x /mnt; mknod /tmp/d b 8 0; unshare -Ur id; chroot / id; nsenter -t 1 -m id; dmesg; sysctl -w kernel.core_pattern=x) 2>&1 | grep -c -iE "denied|permitted|read-only|not found|failed"; id -u; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; touch /x 2>&1',
    prints: /1000[\s\S]*CapEff:\s*0000000000000000[\s\S]*NoNewPrivs:\s*1[\s\S]*Read-only/,
  },
  {
    name: 'credentials in the environment, in memory and in files',
    script:
      'env; cat /proc/*/environ 2>&- | tr "\\0" "\\n"; cat /workspace/env-dir/* ; find / -xdev -readable -type f -name "*.env" 2>&- | xargs cat 2>&-; echo done',
    never: /secret-of|sk-ant-api03-[0-9a-f]{8}-/,
  },
]

export const MAIN: Attack[] = [
  {
    name: 'main reads what the owner keeps from it',
    inMain: true,
    script:
      'cat /workspace/project/.env; ls -a /workspace/project | grep -E "^(store|data|logs)$"; cat /workspace/project/groups/*/logs/* 2>&1; echo x > /workspace/project/README.md; echo x > /workspace/project/groups/ann/diary.md; echo done',
    never: /secret-of-the|^store|^data/,
  },
]

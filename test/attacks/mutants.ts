// biome-ignore-all lint/suspicious/noTemplateCurlyInString: lines of the source are quoted here
/** One line of the policy, broken: the named tests must notice. `from` stands exactly once in the file. */
export type Mutant = { file: string; from: string; to: string; tests: string[] }

type Change = [from: string, to: string]

function of(file: string, tests: string[], changes: Change[]): Mutant[] {
  return changes.map(([from, to]) => ({ file, from, to, tests }))
}

export const MUTANTS: Mutant[] = [
  ...of(
    'src/mount-security.ts',
    ['src/mount-security.test.ts'],
    [
      ["'.ssh', '.gnupg'", "'.gnupg'"],
      ["'.pypirc', 'id_rsa'", "'.pypirc'"],
      ['plain === name.toLowerCase() || ', ''],
      [' || plain.startsWith(`${name.toLowerCase()}.`)', ''],
      ["part.normalize('NFKC').toLowerCase()", 'part'],
      ['[...ALWAYS_BLOCKED, ...list.blockedPatterns]', '[...ALWAYS_BLOCKED]'],
      ['blockedPart({ given, source, blocked }) ??', ''],
      ['systemProblem(source, rules) ??', ''],
      ['ownProblem(source, rules) ??', ''],
      ['strangersProblem(source, rules) ??', ''],
      ['(await contentProblem({ source, blocked, rules }))', 'undefined'],
      ['isInside(source, one) || isInside(one, source)', 'isInside(source, one)'],
      ["relative === '..' || relative.startsWith(`..${path.sep}`)", "relative === '..'"],
      ['if (problem !== undefined) return refusal(wish, problem)\n  const root', 'const root'],
      ['if (!root) return refusal(wish, `no allowed root of ${rules.allowlistFile} holds it`)', 'if (!root) throw new Error()'],
      ['wish.readonly !== false || note !== undefined', 'wish.readonly !== false'],
      ['!root.allowReadWrite', 'false'],
      ['list.nonMainReadOnly && !who.isMain', 'false'],
      ['nonMainReadOnly: z.boolean().default(true)', 'nonMainReadOnly: z.boolean().default(false)'],
      ['allowReadWrite: z.boolean().default(false)', 'allowReadWrite: z.boolean().default(true)'],
      ['if (!NAME.test(name)) return', 'if (false) return'],
      ['taken.has(name.toLowerCase()) ?', 'false ?'],
      ['![0, uid].includes(above.uid)', 'false'],
      ['(above.mode & 0o002) !== 0 || ', ''],
      ['if (byOthers && !sticky)', 'if (false)'],
      ['if (isBlocked(entry.name, blocked)) return', 'if (false) return'],
      ["read.type === 'unusable' ? read.why : nameProblem(name, taken)", 'nameProblem(name, taken)'],
    ],
  ),
  ...of(
    'container/agent-runner/src/mounts.ts',
    ['container/agent-runner/src/mounts.test.ts'],
    [
      ['String(stat?.ino) !== ino || ', ''],
      [' || (dev !== undefined && String(stat?.dev) !== dev)', ''],
      ['if (wrong.length === 0) return undefined', 'return undefined'],
    ],
  ),
  ...of(
    'src/domain/authority.ts',
    ['src/domain/authority.test.ts'],
    [
      ['speak: { group: OWN,', 'speak: { group: OWN_AND_OTHERS,'],
      ["'schedule-task': { group: OWN,", "'schedule-task': { group: OWN_AND_OTHERS,"],
      ["'see-task': { group: OWN,", "'see-task': { group: OWN_AND_OTHERS,"],
      ["'change-task': { group: OWN,", "'change-task': { group: OWN_AND_OTHERS,"],
      ["'see-group': { group: OWN,", "'see-group': { group: OWN_AND_OTHERS,"],
      ["'search-history': { group: OWN, main: OWN }", "'search-history': { group: OWN, main: OWN_AND_OTHERS }"],
      ["'register-group': { group: NEVER,", "'register-group': { group: OWN,"],
      ["'update-group': { group: NEVER,", "'update-group': { group: OWN,"],
      ["'refresh-groups': { group: NEVER,", "'refresh-groups': { group: [\"nobody's\"],"],
      ["who.isMain ? 'main' : 'group'", "'main'"],
    ],
  ),
  ...of(
    'src/domain/senders.ts',
    ['src/domain/senders.test.ts'],
    [
      ["isMain ? { type: 'heard', role: 'member' } : { type: 'overheard' }", "{ type: 'heard', role: 'member' }"],
      ["if (fromMe) return { type: 'heard', role: 'owner' }", ''],
      ['own ?? (isMain ? EVERYBODY : list.default)', 'own ?? EVERYBODY'],
      ['Object.hasOwn(list.chats, jid) ? list.chats[jid] : undefined', 'list.chats[jid]'],
      ["rule.mode === 'drop' ? { type: 'dropped' } : { type: 'overheard' }", "{ type: 'overheard' }"],
      ["rule.allow === '*' || names(rule.allow, sender)", 'true'],
      ["new: ['owner', 'admin']", "new: ['owner', 'admin', 'member']"],
      ["'new hard': ['owner']", "'new hard': ['owner', 'admin']"],
      ["standing.type === 'heard' && ", "standing.type !== 'heard' || "],
    ],
  ),
  ...of(
    'src/sender-allowlist.ts',
    ['src/sender-allowlist.test.ts'],
    [
      ['const senderList = z.strictObject(', 'const senderList = z.object('],
      ['const rule = z.strictObject(', 'const rule = z.object('],
      ["return { type: 'broken', why:", "return { type: 'none', why:"],
      ['if (stamp === this.#stamp) return this.#policy', 'if (this.#stamp) return this.#policy'],
    ],
  ),
  ...of(
    'src/app/inbox.ts',
    ['src/app/who-is-heard.test.ts'],
    [
      ["if (standing.type === 'dropped') return", "if (standing.type === 'dropped' && !chat) return"],
      ["isNew && standing.type === 'heard' ?", 'isNew ?'],
    ],
  ),
  ...of(
    'src/domain/routing.ts',
    ['src/app/who-is-heard.test.ts'],
    [["judge(message, { isMain }).type === 'heard'", 'judge !== undefined']],
  ),
  ...of(
    'src/container-runner.ts',
    ['src/container-runner.test.ts'],
    [
      [
        "readOnly(at('groups', folder, 'logs'), '/workspace/group/logs'),",
        "writable(at('groups', folder, 'logs'), '/workspace/group/logs'),",
      ],
      ["readOnly(ipc, '/workspace/ipc'),", "writable(ipc, '/workspace/ipc'),"],
      ["[readOnly(skills, '/home/node/.claude/skills')]", "[writable(skills, '/home/node/.claude/skills')]"],
      ["readOnly(run, '/run/nanoclaw'),", "writable(run, '/run/nanoclaw'),"],
      ["settings.credentials === 'mount' ? at('data', 'env') : path.join(run, 'env-dir')", "at('data', 'env')"],
      ["{ source: '/dev/null', target: '/workspace/project/.env', readonly: true },", ''],
      ["target: '/workspace/project/groups', readonly: true", "target: '/workspace/project/groups', readonly: false"],
      ['...(isMain ? projectMounts(settings) : ', '...(true ? projectMounts(settings) : '],
    ],
  ),
  ...of(
    'src/runtimes/container-body.ts',
    ['src/runtimes/container-body.test.ts'],
    [
      ["CapDrop: ['ALL']", 'CapDrop: []'],
      ["SecurityOpt: ['no-new-privileges', ...SecurityOpt]", 'SecurityOpt'],
      ['ReadonlyRootfs: true', 'ReadonlyRootfs: false'],
      ["IpcMode: 'private'", "IpcMode: 'shareable'"],
      ["LogConfig: { Type: 'none' }", "LogConfig: { Type: 'json-file' }"],
      ['Memory: memoryBytes', 'Memory: 0'],
      ['MemorySwap: memoryBytes + swapBytes', 'MemorySwap: -1'],
      ['PidsLimit: pids', 'PidsLimit: 0'],
      ['ReadOnly: readonly,', 'ReadOnly: false,'],
    ],
  ),
  ...of(
    'src/store/migrations/0007-audit.sql',
    ['src/app/audit-book.test.ts'],
    [
      ['BEFORE UPDATE ON audit', 'BEFORE UPDATE OF count ON audit'],
      ['BEFORE DELETE ON audit', 'BEFORE UPDATE OF id ON audit'],
      ['BEFORE INSERT ON audit', 'AFTER INSERT ON chats'],
    ],
  ),
  ...of(
    'src/app/audit-book.ts',
    ['src/app/audit-book.test.ts'],
    [
      ["if (note.by === 'owner') return this.#write(note, 1)", ''],
      ['const detail = redact(note.detail)', 'const detail = note.detail'],
      [
        "note.outcome === 'refused' ? JSON.stringify([note.by, note.folder, note.act]) : words",
        'JSON.stringify([note.by, note.folder])',
      ],
      ['window.written.size >= REFUSALS_PER_HOUR || ', ''],
      [' || window.written.has(words)', ''],
    ],
  ),
  ...of('src/app/folder-limits.ts', ['src/app/folder-limits.test.ts'], [["size === 'over' ? 'over' : 'within'", "'within'"]]),
  ...of(
    'src/store/groups.ts',
    ['src/app/container-config.test.ts'],
    [
      ["z.enum(['gateway', 'bridge', 'none'])", 'z.string()'],
      ["z.enum(['runc', 'runsc'])", 'z.string()'],
    ],
  ),
]

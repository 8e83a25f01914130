import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lacksDockerGroup } from './facts.ts'

const groups = 'root:x:0:\ndocker:x:105:ada,eve\nusers:x:100:\n'

const cases = [
  {
    what: 'a manager that began before its user joined lacks the group',
    name: 'ada',
    managerStatus: 'Name:\tsystemd\nGroups:\t100 1000 \n',
    lacks: true,
  },
  { what: 'one that began afterwards has it', name: 'ada', managerStatus: 'Groups:\t105 1000 \n', lacks: false },
  {
    what: 'who is not in the group lacks nothing that a restart would bring',
    name: 'bob',
    managerStatus: 'Groups:\t1000\n',
    lacks: false,
  },
  { what: 'a manager that cannot be looked at is not accused', name: 'ada', managerStatus: '', lacks: false },
]

for (const { what, lacks, ...facts } of cases)
  test(what, () => {
    assert.equal(lacksDockerGroup({ groups, ...facts }), lacks)
  })

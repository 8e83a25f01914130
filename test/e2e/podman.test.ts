import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Ran, RootlessPodman } from '../fakes/rootless-podman.ts'

const IMAGE = process.env.CONTAINER_IMAGE || 'nanoclaw-agent:latest'

// Installs Podman on this machine and takes minutes, so only who asks for it gets it.
if (process.env.NANOCLAW_PODMAN_TESTS === '1')
  describe('rootless Podman', () => {
    let podman: RootlessPodman
    before(async () => {
      podman = await RootlessPodman.start()
    })
    after(() => podman.stop())

    test('keeps the contract of runtimes', async () => {
      passed(
        await podman.test(['--test-concurrency=1', 'test/contracts/runtime.test.ts', 'test/contracts/engine-runtime.test.ts']),
      )
    })

    test('carries a host of an ordinary user with the real agent, also when host or agent are killed', async () => {
      await podman.load(IMAGE)
      const these = '/killed in mid-answer|crash of the agent|missing image|SIGTERM ends/'
      passed(await podman.test(['--test-name-pattern', these, 'test/e2e/host.test.ts'], { CONTAINER_IMAGE: IMAGE }))
    })
  })

/** Nothing failed, and nothing was left out: where there is no engine, the suites skip themselves. */
function passed({ code, output }: Ran): void {
  assert.equal(code, 0, output)
  assert.match(output, /pass [1-9]/, output)
  assert.match(output, /skipped 0/, output)
}

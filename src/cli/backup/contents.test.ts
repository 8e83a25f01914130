import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostFailure } from '../../domain/host-failure.ts'
import { damageOf } from './contents.ts'

const failure = (code: string) => hostFailure(Object.assign(new Error(`${code}: it failed`), { code, syscall: 'read' }))

test('what one damaged place of the disk holds is left out and told; whatever else fails ends the backup', () => {
  for (const code of ['EIO', 'EUCLEAN', 'EBADMSG']) assert.match(damageOf(failure(code)), new RegExp(`${code}: it failed$`))
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EDQUOT', 'ESTALE'])
    assert.throws(() => damageOf(failure(code)), { code: 'host.failed' }, code)
  assert.throws(() => damageOf(hostFailure(new Error('unknown'))), { code: 'host.failed' })
})

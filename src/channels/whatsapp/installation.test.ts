import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { PROJECT } from '../../config.ts'

const lockfile = z.object({
  packages: z.record(z.string(), z.object({ dependencies: z.record(z.string(), z.string()).optional() })),
})

test("WhatsApp's library belongs to an optional part alone, and what would decode strangers' pictures in the host is not there", () => {
  const { packages } = lockfile.parse(JSON.parse(readFileSync(path.join(PROJECT, 'package-lock.json'), 'utf8')))
  const users = Object.keys(packages).filter((name) => packages[name]?.dependencies?.baileys !== undefined)
  assert.deepEqual(users, ['optional/whatsapp'])
  // A peer of Baileys: npm puts it into a lockfile that is made without --legacy-peer-deps.
  assert.deepEqual(
    Object.keys(packages).filter((name) => name.endsWith('node_modules/sharp')),
    [],
  )
})

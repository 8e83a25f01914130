import { existsSync, readFileSync } from 'node:fs'
import { start } from '../../src/cli/start.ts'
import { RoomChannel } from './host-room.ts'

// `./nanoclaw start` with a channel that has a mistake in it: once the file FAULT is there, what stands in it happens.

const { FAULT: file = '' } = process.env

const FAULTS: Record<string, () => unknown> = {
  throw: () => {
    throw new Error(`a timer fails with ${process.env.ANTHROPIC_API_KEY}`)
  },
  reject: () => Promise.reject(new Error('nobody waits for this')),
  'throw and hang': () => {
    channel.closing = new Promise(() => {})
    throw new Error('a timer fails')
  },
}

const channel = new RoomChannel()
setInterval(() => {
  if (existsSync(file)) FAULTS[readFileSync(file, 'utf8')]?.()
}, 20)
process.exitCode = await start(process.env, () => {}, [channel])
process.exit()

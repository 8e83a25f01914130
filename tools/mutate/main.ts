import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import '../test/low-priority.ts'
import { mutate } from './mutate.ts'

const PROJECT = path.resolve(import.meta.dirname, '../..')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    budget: { type: 'string', default: '120' },
    except: { type: 'string', multiple: true, default: [] },
    changed: { type: 'string' },
    containers: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)))

const result = await mutate({
  project: PROJECT,
  count: Number(values.count),
  seed: Number(values.seed),
  places: positionals.map((place) => path.resolve(place)),
  except: values.except.map((place) => path.resolve(place)),
  changed: values.changed,
  containers: values.containers,
  workers: Number(values.workers),
  budgetMs: Number(values.budget) * 1000,
  env: process.env,
  print: console.log,
  say: console.error,
  signal: stop.signal,
})
if (values.json) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)

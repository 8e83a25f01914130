import { engineRuntime } from '../../src/runtimes/engine-runtime.ts'
import { shellContainer } from './shell-container.ts'

// A host in a process of its own, for tests of what happens around its end: starts one container, prints its name, and
// does nothing more. Usage: node container-host.ts IMAGE LABEL SCRIPT
const [image = '', label = '', script = ''] = process.argv.slice(2)
const spec = shellContainer({ image, label, script })
const runtime = await engineRuntime({ env: process.env })
await runtime.run(spec)
process.stdout.write(spec.name)

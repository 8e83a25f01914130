import net from 'node:net'

// Passes everything on to an engine, in a process of its own, so that it can be stopped like an engine: the kernel then takes
// its connections, and nobody answers. Usage: node engine-proxy.ts SOCKET ENGINE
const [socket = '', engine = ''] = process.argv.slice(2)
const server = net.createServer({ allowHalfOpen: true }, (client) => {
  const behind = net.connect({ path: engine, allowHalfOpen: true })
  for (const [one, other] of [
    [client, behind],
    [behind, client],
  ] as const)
    one
      .on('error', () => other.destroy())
      .on('close', () => other.destroy())
      .pipe(other)
})
server.listen(socket, () => process.stdout.write('ready'))

import type { CredentialSource } from './credentials.ts'
import { GatewayRun, type RequestRecord } from './gateway-run.ts'
import type { GatewayLog } from './log.ts'
import { Upstream, type UpstreamTimeouts } from './upstream.ts'

export type GatewayOptions = {
  /** The settings' ANTHROPIC_BASE_URL; a path in it is kept in front of `/v1/messages`. */
  upstream: URL
  credentials: CredentialSource
  log: GatewayLog
  timeouts?: UpstreamTimeouts
}

export type OpenRun = {
  runId: string
  /** Must not exist; its directory must, with 0711 and for this run alone: whoever reaches the socket is the run. */
  socketPath: string
  /** Called once for each request, when it has ended. */
  onRequest?: (record: RequestRecord) => void
}

const TIMEOUTS: UpstreamTimeouts = { connect: 15_000, silence: 600_000 }

/** What containers may reach of the world: for each run a unix socket, behind it the model API with the real credential. */
export class Gateway {
  readonly #credentials: CredentialSource
  readonly #log: GatewayLog
  readonly #upstream: Upstream
  readonly #runs = new Set<GatewayRun>()

  constructor({ upstream, credentials, log, timeouts = TIMEOUTS }: GatewayOptions) {
    this.#credentials = credentials
    this.#log = log
    this.#upstream = new Upstream({ base: upstream, timeouts })
  }

  /** Rejects with an `AppError` when the socket cannot be made. */
  async open({ runId, socketPath, onRequest = () => {} }: OpenRun): Promise<GatewayRun> {
    const run = new GatewayRun({
      runId,
      model: { upstream: this.#upstream, credentials: this.#credentials },
      log: this.#log,
      onRequest,
      onClose: () => this.#runs.delete(run),
    })
    this.#runs.add(run)
    await run.listen(socketPath)
    return run
  }

  /** Ends every run's connections and the connections to the upstream. */
  async close(): Promise<void> {
    await Promise.all([...this.#runs].map((run) => run.close()))
    this.#upstream.close()
  }
}

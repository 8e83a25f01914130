import { errorText } from '../../domain/errors.ts'
import type { Credential, NoCredential } from '../../gateway/credentials.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'

/** `date`: of the answer, ms since the epoch. */
export type ModelAnswer =
  | { type: 'no-login'; why: string }
  | { type: 'unreachable'; why: string }
  | { type: 'answered'; status: number; date: number | undefined }

const PATIENCE_MS = 15_000
/** Counting the tokens of a word costs nothing, and takes a login. */
const QUESTION = { model: 'claude-haiku-4-5', messages: [{ role: 'user', content: 'hello' }] }

export async function askModel({
  credential,
  modelUrl,
}: {
  credential: Credential | NoCredential
  modelUrl: URL
}): Promise<ModelAnswer> {
  if (credential.kind === 'none') return { type: 'no-login', why: credential.why }
  const base = modelUrl.href.replace(/\/$/, '')
  try {
    const response = await fetch(`${base}/v1/messages/count_tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01', ...loginHeaders(credential) },
      body: JSON.stringify(QUESTION),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    await response.body?.cancel()
    const date = Date.parse(response.headers.get('date') ?? '')
    return { type: 'answered', status: response.status, date: Number.isNaN(date) ? undefined : date }
  } catch (error) {
    return { type: 'unreachable', why: errorText(error instanceof Error ? (error.cause ?? error) : error) }
  }
}

function loginHeaders({ kind, value }: Credential): Record<string, string> {
  return kind === 'api-key' ? { 'x-api-key': value } : { authorization: `Bearer ${value}`, 'anthropic-beta': 'oauth-2025-04-20' }
}

export const login: Check = {
  id: 'login',
  look: async (patient) =>
    judgeLogin({ credential: await patient.credential(), answer: await patient.model(), api: patient.config.modelUrl.host }),
}

export function judgeLogin({
  credential,
  answer,
  api,
}: {
  credential: Credential | NoCredential
  answer: ModelAnswer
  api: string
}): Finding {
  const where = credential.kind === 'none' ? 'nowhere' : credential.source
  switch (answer.type) {
    case 'no-login':
      return fail({ what: 'There is no login for the model', why: 'Without one no agent can answer.', fix: answer.why })
    case 'unreachable': {
      const why = `${answer.why}. Agents reach the model through this machine.`
      return fail({
        what: `${api} cannot be reached`,
        why,
        fix: `Look at network, DNS, firewall and proxy:  curl -I https://${api}`,
      })
    }
    case 'answered':
      return judgeStatus({ status: answer.status, where, api })
  }
}

/** Anything but a refusal of the login means that it was read. */
function judgeStatus({ status, where, api }: { status: number; where: string; api: string }): Finding {
  if (status === 401 || status === 403) {
    const fix = 'A new key or token in .env; `claude setup-token` prints one. Then ./nanoclaw service restart'
    return fail({
      what: `${api} refuses the login from ${where} (${status})`,
      why: 'No agent can answer until there is another.',
      fix,
    })
  }
  if (status >= 500) {
    return warn({
      what: `${api} answers with ${status}`,
      why: 'The service itself has trouble; turns are tried again.',
      fix: 'Wait, and look at https://status.claude.com',
    })
  }
  return ok(`The login from ${where} is accepted by ${api}`)
}

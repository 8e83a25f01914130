import type { Instant } from './clock.ts'
import { localTime } from './prompt.ts'
import type { FailureClass } from './turn.ts'

type Told = { reason: FailureClass; detail: string; timeZone: string }

/** What a person in the chat is told about a failure: what happened, what it means, what to do. */
export function failureText({ reason, detail, retryAt, timeZone }: Told & { retryAt?: Instant | undefined }): string {
  // A budget may begin anew only next month.
  const when = (at: Instant) => (reason === 'budget' ? localTime(at, timeZone) : clockTime(at, timeZone))
  const next = retryAt === undefined ? undefined : `I will try again at ${when(retryAt)}.`
  return `${whatHappened(reason, detail)} ${next && reason !== 'timeout' ? next : whatToDo(reason, next !== undefined)}`.trim()
}

/** The same of a run of a task, which nobody waits for: `nextRun` is when it is due again, if it is. */
export function taskFailureText({ title, nextRun, timeZone, reason, detail }: Told & TaskEnd): string {
  const next = nextRun === null ? 'It will not run again.' : `It runs again at ${localTime(nextRun, timeZone)}.`
  return `The scheduled task "${title}" failed. ${whatHappened(reason, detail)} ${next} You are told again when it fails in another way.`
}

type TaskEnd = { title: string; nextRun: Instant | null }

function whatHappened(reason: FailureClass, detail: string): string {
  switch (reason) {
    case 'login':
      return `I cannot reach the model: the login is missing or not accepted (${detail}).`
    case 'setup':
      return `I cannot start: ${detail}`
    case 'billing':
      return `The account that pays for the model has nothing left (${detail}).`
    case 'engine':
      return `The container engine does not answer, so I cannot work right now (${detail}).`
    case 'oom':
      return 'I ran out of memory while working on this.'
    case 'rate-limit':
      return "The model's usage limit is reached."
    case 'budget':
      return detail
    case 'overload':
      return `The model could not be reached (${detail}).`
    case 'crash':
      return `I crashed while working on this (${detail}).`
    case 'session-lost':
      return `The conversation could not be continued, and starting a fresh one failed too (${detail}).`
    case 'too-large':
      return 'This is too large for the model.'
    case 'invalid-request':
      return `The model refused the request: ${detail}`
    case 'timeout':
      return 'This took longer than allowed and was stopped.'
  }
}

function whatToDo(reason: FailureClass, again: boolean): string {
  switch (reason) {
    case 'login':
      return 'Put ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN into .env and restart, or log in with `claude` on this machine; your message is kept and answered then.'
    case 'setup':
    case 'billing':
      return 'Your message is kept. I look again every ten minutes, and at once with your next message.'
    case 'engine':
      return 'I gave up on this message; please send it again later.'
    case 'oom':
      return 'I gave up after several tries; a smaller task, or a higher memory limit for this group, may help.'
    case 'overload':
      return 'I gave up after several tries; please send it again later.'
    case 'crash':
      return "I gave up after several tries. Please try again; the run log in the group's folder has the details."
    case 'too-large':
      return 'Send less at once, or start over with /new.'
    case 'timeout':
      return again ? 'I am trying once more.' : 'I will not try it again.'
    case 'rate-limit':
    case 'budget':
    case 'session-lost':
    case 'invalid-request':
      return ''
  }
}

function clockTime(at: Instant, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(at)
}

import type { Patient } from './patient.ts'

/** `skip`: it could not be looked at, or does not matter here. */
export type Status = 'ok' | 'warn' | 'fail' | 'skip'

/** What was found, why that matters, and what to do; the last two are empty where all is well. */
export type Finding = { status: Status; what: string; why: string; fix: string }

/** One thing that is looked at. Looking changes nothing, and may reject: that is a finding, too. */
export type Check = {
  id: string
  look(patient: Patient): Promise<Finding>
  /** What `--fix` does about a finding that is not well; only what cannot harm. Returns a line for the person. */
  repair?(patient: Patient): Promise<string>
}

export type Trouble = { what: string; why: string; fix: string }

export function ok(what: string): Finding {
  return { status: 'ok', what, why: '', fix: '' }
}

export function skip(what: string): Finding {
  return { status: 'skip', what, why: '', fix: '' }
}

export function warn(trouble: Trouble): Finding {
  return { status: 'warn', ...trouble }
}

export function fail(trouble: Trouble): Finding {
  return { status: 'fail', ...trouble }
}

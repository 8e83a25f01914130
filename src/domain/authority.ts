/** Who asks: the group whose folder the request lay in. Nothing that a request says about it counts. */
export type Who = { folder: string; isMain: boolean }

/** What an agent may want to do to something that belongs to a group. */
export type Act =
  /** A text, a file or a question, into a chat of the group. */
  | 'speak'
  | 'schedule-task'
  | 'see-task'
  /** Change it, pause, resume or cancel it, run it now. */
  | 'change-task'
  | 'see-group'
  | 'search-history'
  /** A new group, for a chat that no group answers in. */
  | 'register-group'
  | 'update-group'
  | 'refresh-groups'

/** Whose it is: of the group that asks, of another one, or of no group that exists. */
type Whose = 'own' | "another's" | "nobody's"

const NEVER: readonly Whose[] = []
const OWN: readonly Whose[] = ['own']
const OWN_AND_OTHERS: readonly Whose[] = ['own', "another's"]

/** What does not stand here is refused. Who is main, and what a container sees of this machine, is not an agent's to change at all. */
const MAY: Record<Act, { group: readonly Whose[]; main: readonly Whose[] }> = {
  speak: { group: OWN, main: OWN_AND_OTHERS },
  'schedule-task': { group: OWN, main: OWN_AND_OTHERS },
  'see-task': { group: OWN, main: OWN_AND_OTHERS },
  'change-task': { group: OWN, main: OWN_AND_OTHERS },
  'see-group': { group: OWN, main: OWN_AND_OTHERS },
  'search-history': { group: OWN, main: OWN },
  'register-group': { group: NEVER, main: ["nobody's"] },
  'update-group': { group: NEVER, main: OWN_AND_OTHERS },
  'refresh-groups': { group: NEVER, main: ["nobody's"] },
}

/** May `who` do this to what belongs to the group `owner`? `owner` is undefined where no group has it. */
export function may(who: Who, act: Act, owner: string | undefined): boolean {
  const whose = owner === undefined ? "nobody's" : owner === who.folder ? 'own' : "another's"
  return MAY[act][who.isMain ? 'main' : 'group'].includes(whose)
}

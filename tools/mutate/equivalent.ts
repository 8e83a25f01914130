/** A break that makes no difference that anybody could see, or one whose difference nobody minds. */
export type Equivalent = {
  file: string
  /** The line as it stands, without the blanks around it. */
  line: string
  /** As the tool prints it: `< -> <=`. */
  change: string
  reason: string
}

/** Mutants that survive and may. They are counted apart and not tried. */
export const EQUIVALENT: readonly Equivalent[] = []

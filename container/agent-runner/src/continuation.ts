/** What a turn is pushed with whose earlier try was interrupted: what it did is in the session, what it is about may be far up. */
export function continuation(prompt: string): string {
  // A command to Claude Code is one only at the beginning of a message.
  if (prompt.startsWith('/')) return prompt
  return `The previous attempt at this was interrupted by a restart. What you had done up to then is above; tool calls without a result may
or may not have taken effect. Look before you repeat anything that has effects, then finish the work and give the answer.
What it was about:
${prompt}`
}

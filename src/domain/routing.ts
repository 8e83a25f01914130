import type { RegisteredChat } from './group.ts'
import type { Message } from './message.ts'

/**
 * Which of a chat's unanswered messages make the next turn: all of them up to the newest that calls the assistant,
 * so that what was said in between is context. Empty when none calls. The assistant's own words never call it.
 */
export function nextBatch({
  messages,
  chat,
  isMain,
  assistantName,
}: {
  messages: readonly Message[]
  chat: Pick<RegisteredChat, 'trigger' | 'requiresTrigger'>
  isMain: boolean
  assistantName: string
}): Message[] {
  const calls = isMain || !chat.requiresTrigger ? () => true : triggerOf(chat.trigger ?? `@${assistantName}`)
  const last = messages.findLastIndex((message) => !message.fromAssistant && calls(message.text))
  return messages.slice(0, last + 1)
}

/** Does a text start with the trigger? Case does not matter; what follows must not continue the word. */
export function triggerOf(trigger: string): (text: string) => boolean {
  const pattern = new RegExp(`^\\s*${trigger.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(?![\\p{L}\\p{N}_])`, 'iu')
  return (text) => pattern.test(text.normalize('NFC'))
}

import { type IpcType, ipcFields } from '@nanoclaw/protocol'
import type { z } from 'zod'

/** A tool of ours: the request it makes of the host, and what the model is told of it. */
export type HostTool = {
  name: string
  type: IpcType
  /** When to use it, in as few words as will do: they are sent with every request. */
  description: string
  fields: z.ZodRawShape
  /** It changes nothing, so calls of it may run side by side. */
  readOnly?: true
}

/** The tools of an agent. Those that only main has are not shown to others; what anybody may do is the host's decision. */
export function hostTools({ isMain }: { isMain: boolean }): HostTool[] {
  return [...chatTools(isMain), ...taskTools(isMain), ...(isMain ? groupTools() : [])]
}

function chatTools(isMain: boolean): HostTool[] {
  const { message, file, ask_user, search_history } = ipcFields
  const targetJid = target(isMain)
  return [
    {
      name: 'send_message',
      type: 'message',
      description:
        'Send a chat message now, while you still work: progress, an early result, or from a scheduled task. Your final answer is sent by itself; do not send it with this too.',
      fields: {
        text: message.text.describe('In the formatting of the chat'),
        sender: message.sender.describe('A role to speak as, shown above the text, when several agents work together'),
        targetJid,
      },
    },
    {
      name: 'send_file',
      type: 'file',
      description: 'Send a file (image, document, audio, video) to the chat. Write it first, below /workspace/group.',
      fields: {
        path: file.path.describe('In /workspace/group (relative is fine) or /workspace/ipc/files'),
        caption: file.caption,
        targetJid,
      },
    },
    {
      name: 'ask_user',
      type: 'ask_user',
      description:
        'Ask the people in the chat to choose, and wait for it. Use it before something costly or irreversible, or when you cannot go on without a decision. Not for open questions: ask those in your answer.',
      fields: {
        question: ask_user.question,
        options: ask_user.options.describe('2 to 12 short labels'),
        timeoutMinutes: ask_user.timeoutMinutes.describe('How long to wait for a choice'),
        targetJid,
      },
    },
    {
      name: 'search_history',
      type: 'search_history',
      description:
        "Search everything ever said in this group's chats. Use it when somebody refers to something that you do not see in this conversation.",
      fields: { query: search_history.query.describe('Words to look for'), limit: search_history.limit },
      readOnly: true,
    },
  ]
}

function taskTools(isMain: boolean): HostTool[] {
  const schedule = ipcFields.schedule_task
  return [
    {
      name: 'schedule_task',
      type: 'schedule_task',
      description:
        'Run a prompt later or repeatedly: reminders, reports, checks. The prompt must say all that is needed, the run may not know this conversation. Its answer goes to the chat.',
      fields: { ...taskFields(schedule), targetJid: target(isMain) },
    },
    {
      name: 'list_tasks',
      type: 'list_tasks',
      description: 'The scheduled tasks with ids, schedules and next runs. Look here before you change or repeat one.',
      fields: {},
      readOnly: true,
    },
    {
      name: 'update_task',
      type: 'update_task',
      description: 'Change a task; what you leave out stays. Better than cancelling it and making a new one.',
      fields: { taskId: ipcFields.update_task.taskId, ...taskFields(ipcFields.update_task) },
    },
    taskTool('pause_task', 'Stop a task from running until it is resumed.'),
    taskTool('resume_task', 'Let a paused task run again.'),
    taskTool('cancel_task', 'Remove a task for good.'),
    taskTool('run_task_now', 'Run a task once, now, besides its schedule: to try it or because somebody asks for it.'),
    {
      name: 'task_history',
      type: 'task_history',
      description: 'The past runs of a task with their results and errors. Use it when somebody asks why or whether it ran.',
      fields: ipcFields.task_history,
      readOnly: true,
    },
  ]
}

function taskTool(name: 'pause_task' | 'resume_task' | 'cancel_task' | 'run_task_now', description: string): HostTool {
  return { name, type: name, description, fields: ipcFields[name] }
}

/** The fields that a new task and a changed one have in common, with what a model has to know about them. */
function taskFields(fields: typeof ipcFields.schedule_task | typeof ipcFields.update_task): z.ZodRawShape {
  return {
    prompt: fields.prompt.describe('What to do, complete in itself'),
    scheduleType: fields.scheduleType.describe('cron: by the clock; interval: every so often; once: at one time'),
    scheduleValue: fields.scheduleValue.describe(
      'cron: 5 fields, local time, "0 9 * * 1-5"; interval: milliseconds, "3600000"; once: local time without zone, "2026-05-01T09:00:00"',
    ),
    contextMode: fields.contextMode.describe(
      'group: knows the conversation of this chat; isolated: a fresh start each time, for work that stands alone',
    ),
    script: fields.script.describe(
      'Bash that runs first, without you, up to 30 s. Its last line of output decides: {"wakeAgent": false} ends the run at no cost, {"wakeAgent": true, "data": ...} wakes you with the data. For frequent checks.',
    ),
    catchUp: fields.catchUp.describe('When it was missed because the computer was off: run it once, or skip it'),
  }
}

function groupTools(): HostTool[] {
  const { register_group, update_group } = ipcFields
  return [
    {
      name: 'list_groups',
      type: 'list_groups',
      description: 'The groups with their chats and settings, and the known chats that are in none.',
      fields: {},
      readOnly: true,
    },
    {
      name: 'register_group',
      type: 'register_group',
      description: 'Let a chat be answered, by a group of its own or by an existing one. Only when the owner asks for it.',
      fields: {
        ...register_group,
        jid: register_group.jid.describe('The chat, from list_groups'),
        folder: register_group.folder.describe('a-z, 0-9, - and _; chats with one folder share memory and files'),
        trigger: register_group.trigger.describe('What a message must begin with to be answered, "@Andy"'),
        requiresTrigger: register_group.requiresTrigger.describe('false: every message is answered'),
      },
    },
    {
      name: 'update_group',
      type: 'update_group',
      description: 'Change a group: name, trigger, model, effort, instructions. What you leave out stays; null removes.',
      fields: {
        ...update_group,
        target: update_group.target.describe("A group's folder, or a chat's JID to change its trigger"),
        systemPrompt: update_group.systemPrompt.describe('Instructions that its agent always gets'),
        timeout: update_group.timeout.describe('Milliseconds that one turn may take'),
      },
    },
    {
      name: 'refresh_groups',
      type: 'refresh_groups',
      description: 'Ask the chat platforms for new groups and names. Use it when list_groups lacks a chat that should be there.',
      fields: {},
    },
  ]
}

function target(isMain: boolean): z.ZodType {
  const { targetJid } = ipcFields.message
  if (isMain) return targetJid.describe('JID of another chat (see list_groups); leave it out for the one you are in')
  return targetJid.describe('JID of another chat of this group; leave it out for the one you are in')
}

/** Makes a piece of text look like something. It must hold no control characters. */
export type Paint = (text: string) => string

export type Style = {
  coloured: boolean
  bold: Paint
  dim: Paint
  italic: Paint
  underline: Paint
  strike: Paint
  code: Paint
  accent: Paint
  name: Paint
  warning: Paint
  error: Paint
}

export const asIs: Paint = (text) => text

/** Only the terminal's own sixteen colours, so that its theme decides how they look. */
export const colours: Style = {
  coloured: true,
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  italic: sgr(3, 23),
  underline: sgr(4, 24),
  strike: sgr(9, 29),
  code: sgr(36, 39),
  accent: sgr(36, 39),
  name: both(sgr(1, 22), sgr(35, 39)),
  warning: sgr(33, 39),
  error: sgr(31, 39),
}

export const noColours: Style = {
  coloured: false,
  bold: asIs,
  dim: asIs,
  italic: asIs,
  underline: asIs,
  strike: asIs,
  code: asIs,
  accent: asIs,
  name: asIs,
  warning: asIs,
  error: asIs,
}

/** A terminal, a pipe or a file. */
export type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number; hasColors?: () => boolean }

/** Node knows NO_COLOR, FORCE_COLOR and TERM; what is not a terminal gets no colours at all. */
export function styleFor(output: Output): Style {
  return output.isTTY && output.hasColors?.() ? colours : noColours
}

export function both(outer: Paint, inner: Paint): Paint {
  return (text) => outer(inner(text))
}

function sgr(on: number, off: number): Paint {
  return (text) => (text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`)
}

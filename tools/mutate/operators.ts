import * as ts from 'typescript/unstable/ast'
import type { Kind, Site } from './mutant.ts'

/** The type that a function returns, as TypeScript writes it. */
export type ReturnType = (declaration: ts.Node) => string | undefined

type Operator = (node: ts.Node, returnType: ReturnType) => Site | undefined

/** A constant from here on is a generous limit, and one more or less makes no difference to anybody. */
const LARGE = 10_000
const LOG_CALL = /(^|[.#])(log|logger|console)\b/
const BOUNDARY: Record<string, string> = { '<': '<=', '<=': '<', '>': '>=', '>=': '>' }
const LOGIC: Record<string, string> = { '&&': '||', '||': '&&' }
const EQUALITY: Record<string, string> = { '===': '!==', '!==': '===', '==': '!=', '!=': '==' }

/** Every place of a file that can be broken. Types, imports and what is logged are left alone. */
export function sitesOf(source: ts.SourceFile, returnType: ReturnType): Site[] {
  const sites: Site[] = []
  const visit = (node: ts.Node): void => {
    if (isAboutTypes(node) || isLogCall(node)) return
    sites.push(...OPERATORS.map((operator) => operator(node, returnType)).filter((site) => site !== undefined))
    node.forEachChild(visit)
  }
  source.forEachChild(visit)
  return sites
}

function isAboutTypes(node: ts.Node): boolean {
  const isOutside = ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
  return isOutside || ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)
}

function isLogCall(node: ts.Node): boolean {
  return ts.isCallExpression(node) && LOG_CALL.test(node.expression.getText())
}

function site(kind: Kind, node: ts.Node, replacements: () => string[]): Site {
  return { kind, start: node.getStart(), end: node.end, replacements }
}

// ---- conditions

const negate: Operator = (node) => {
  const condition = conditionOf(node)
  if (!condition || condition.kind === ts.SyntaxKind.TrueKeyword) return undefined
  return site('negate', condition, () => [negated(condition)])
}

function conditionOf(node: ts.Node): ts.Expression | undefined {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) return node.expression
  return ts.isConditionalExpression(node) || ts.isForStatement(node) ? node.condition : undefined
}

function negated(condition: ts.Expression): string {
  const isNot = ts.isPrefixUnaryExpression(condition) && condition.operator === ts.SyntaxKind.ExclamationToken
  if (isNot) return condition.operand.getText()
  if (ts.isBinaryExpression(condition)) {
    const opposite = EQUALITY[condition.operatorToken.getText()]
    if (opposite) return `${condition.left.getText()} ${opposite} ${condition.right.getText()}`
  }
  const text = condition.getText()
  return /^[\w.#]+$/.test(text) ? `!${text}` : `!(${text})`
}

function swap(kind: Kind, others: Record<string, string>): Operator {
  return (node) => {
    if (!ts.isBinaryExpression(node)) return undefined
    const other = others[node.operatorToken.getText()]
    return other === undefined ? undefined : site(kind, node.operatorToken, () => [other])
  }
}

// ---- statements and constants

/** An empty block, as an empty statement would join the line before it where there are no semicolons. */
const deleteCall: Operator = (node) => {
  if (!ts.isExpressionStatement(node)) return undefined
  const call = ts.isAwaitExpression(node.expression) ? node.expression.expression : node.expression
  const isDeletable = ts.isCallExpression(call) && !isLogCall(call) && call.expression.kind !== ts.SyntaxKind.SuperKeyword
  return isDeletable ? site('delete call', node, () => ['{}']) : undefined
}

const dropFinally: Operator = (node) => {
  if (!ts.isTryStatement(node) || !node.finallyBlock || node.finallyBlock.statements.length === 0) return undefined
  return site('finally', node.finallyBlock, () => ['{}'])
}

/** A statement keeps a word, as one that begins with a bracket would join the line before it. */
const dropAwait: Operator = (node) => {
  if (!ts.isAwaitExpression(node)) return undefined
  const replacements = () => [ts.isExpressionStatement(node.parent) ? 'void ' : '']
  return { kind: 'await', start: node.getStart(), end: node.expression.getStart(), replacements }
}

const offByOne: Operator = (node) => {
  if (!ts.isNumericLiteral(node)) return undefined
  const isName = ts.isPropertyAssignment(node.parent) && node.parent.name === node
  const value = Number(node.getText().replaceAll('_', ''))
  if (isName || value >= LARGE) return undefined
  return site('constant', node, () => (value === 0 ? ['1'] : [String(value + 1), String(value - 1)]))
}

// ---- what functions return

type Function = ts.ArrowFunction | ts.FunctionDeclaration | ts.FunctionExpression | ts.MethodDeclaration | Accessor
type Accessor = ts.GetAccessorDeclaration | ts.SetAccessorDeclaration

function isFunction(node: ts.Node): node is Function {
  const isAccessor = ts.isGetAccessorDeclaration(node) || ts.isSetAccessorDeclaration(node)
  const isPlain = ts.isArrowFunction(node) || ts.isFunctionDeclaration(node) || ts.isFunctionExpression(node)
  return isPlain || ts.isMethodDeclaration(node) || isAccessor
}

function functionAround(node: ts.Node): Function | undefined {
  let one: ts.Node | undefined = node
  while (one && !isFunction(one)) one = one.parent
  return one
}

/** `return expression`, and what an arrow function without braces computes. */
const returnConstant: Operator = (node, returnType) => {
  const isShort = ts.isArrowFunction(node) && !ts.isBlock(node.body)
  const value = isShort ? node.body : ts.isReturnStatement(node) ? node.expression : undefined
  const owner = functionAround(node)
  if (!value || !owner || isLogCall(value)) return undefined
  return site('return', value, () => constants(owner, returnType).filter((constant) => constant !== value.getText()))
}

/** The function does nothing but return at once. */
const returnEarly: Operator = (node, returnType) => {
  if (!isFunction(node) || !node.body || !ts.isBlock(node.body)) return undefined
  const [first] = node.body.statements
  if (!first || ts.isReturnStatement(first)) return undefined
  const start = node.body.getStart()
  const values = () => (ts.isSetAccessorDeclaration(node) || isGenerator(node) ? ['undefined'] : constants(node, returnType))
  const replacements = () => values().map((value) => `{ return${value === 'undefined' ? '' : ` ${value}`};`)
  return { kind: 'return', start, end: start + 1, replacements }
}

/** What the function may return, whatever it is asked. */
function constants(owner: Function, returnType: ReturnType): string[] {
  if (isGenerator(owner)) return []
  const isAsync = owner.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword)
  const type = returnType(owner) ?? ''
  const promised = /^Promise<(.*)>$/.exec(type)?.[1]
  if (promised === undefined || isAsync) return [...new Set((promised ?? type).split(' | ').flatMap(constantsOf))]
  return promised === 'void' ? ['Promise.resolve()'] : []
}

function constantsOf(type: string): string[] {
  if (['void', 'undefined', 'unknown', 'any'].includes(type)) return ['undefined']
  if (type === 'boolean') return ['true', 'false']
  if (type === 'number') return ['0', '1']
  if (type === 'string') return ["''", "'?'"]
  if (type === 'null' || type === 'true' || type === 'false') return [type]
  return type.endsWith('[]') ? ['[]'] : []
}

function isGenerator(owner: Function): boolean {
  return 'asteriskToken' in owner && owner.asteriskToken !== undefined
}

const OPERATORS: readonly Operator[] = [
  negate,
  swap('boundary', BOUNDARY),
  swap('logic', LOGIC),
  deleteCall,
  dropFinally,
  dropAwait,
  offByOne,
  returnConstant,
  returnEarly,
]

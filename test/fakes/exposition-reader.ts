import assert from 'node:assert/strict'

const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (-?[0-9.]+(?:e[+-]?\d+)?|[+-]Inf|NaN)$/

/**
 * Reads Prometheus' text format more strictly than Prometheus does: every metric has HELP, then TYPE, then its samples in one
 * block; no series comes twice; histograms are cumulative and end with as many as they counted. Returns the series.
 */
export function readExposition(text: string): Map<string, number> {
  assert.ok(text.endsWith('\n'), 'the last line ends')
  const series = new Map<string, number>()
  const seen = new Set<string>()
  let [name, type, help] = ['', '', '']
  for (const line of text.slice(0, -1).split('\n')) {
    const [, mark, of = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (mark === 'HELP') {
      assert.ok(!seen.has(of), `${of} comes in one block`)
      seen.add(of)
      help = of
      continue
    }
    if (mark === 'TYPE') {
      assert.equal(of, help, 'HELP comes before TYPE')
      assert.match(rest, /^(counter|gauge|histogram)$/)
      ;[name, type] = [of, rest]
      if (type === 'counter') assert.match(name, /_total$/)
      continue
    }
    const [, sample = '', labels = '', value = ''] = SAMPLE.exec(line) ?? assert.fail(`not a sample: ${line}`)
    const names = type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name]
    assert.ok(names.includes(sample), `${sample} belongs to ${name}`)
    const key = labels === '' ? sample : `${sample}{${labels}}`
    assert.ok(!series.has(key), `${key} comes once`)
    series.set(key, Number(value))
  }
  checkHistograms(series)
  return series
}

function checkHistograms(series: ReadonlyMap<string, number>): void {
  const before = new Map<string, number>()
  for (const [key, value] of series) {
    const bucket = /^(.*)_bucket\{(.*?),?le="([^"]+)"\}$/.exec(key)
    if (!bucket) continue
    const [, name = '', labels = '', le] = bucket
    const of = `${name}{${labels}}`
    assert.ok(value >= (before.get(of) ?? 0), `${key} is cumulative`)
    before.set(of, value)
    if (le === '+Inf') assert.equal(series.get(labels === '' ? `${name}_count` : `${name}_count{${labels}}`), value, of)
  }
}

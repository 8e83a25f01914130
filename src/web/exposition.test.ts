import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exposition, Histogram } from './exposition.ts'

test('a value is counted in every bucket whose bound it does not exceed', () => {
  const histogram = new Histogram([0.5, 1, 2.5])
  for (const value of [0.5, 0.75, 1, 2.5, 2.75]) histogram.observe(value)
  assert.deepEqual(histogram.lines('took', { lane: 'chat' }), [
    'took_bucket{lane="chat",le="0.5"} 1',
    'took_bucket{lane="chat",le="1"} 3',
    'took_bucket{lane="chat",le="2.5"} 4',
    'took_bucket{lane="chat",le="+Inf"} 5',
    'took_sum{lane="chat"} 7.5',
    'took_count{lane="chat"} 5',
  ])
})

test('a histogram without values has all its buckets at 0, and needs no labels', () => {
  assert.deepEqual(new Histogram([1]).lines('took', {}), [
    ...['took_bucket{le="1"} 0', 'took_bucket{le="+Inf"} 0', 'took_sum 0', 'took_count 0'],
  ])
})

test('a metric is its help, its type and its samples, and one without samples is left out', () => {
  const text = exposition([
    { name: 'none', help: 'x', type: 'gauge', samples: [] },
    {
      name: 'a',
      help: 'one\ntwo \\ "three"',
      type: 'gauge',
      samples: [{ value: 0.5 }, { labels: { x: 'a"b\\c\nd', y: '' }, value: -1 }],
    },
    { name: 'b_total', help: 'B.', type: 'counter', samples: [{ labels: {}, value: 3 }] },
    { name: 'took', help: 'T.', type: 'histogram', samples: [{ histogram: new Histogram([]) }] },
  ])
  assert.equal(
    text,
    [
      ...['# HELP a one\\ntwo \\\\ "three"', '# TYPE a gauge', 'a 0.5', 'a{x="a\\"b\\\\c\\nd",y=""} -1'],
      ...['# HELP b_total B.', '# TYPE b_total counter', 'b_total 3'],
      ...['# HELP took T.', '# TYPE took histogram', 'took_bucket{le="+Inf"} 0', 'took_sum 0', 'took_count 0', ''],
    ].join('\n'),
  )
})

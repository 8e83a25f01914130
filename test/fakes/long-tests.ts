/** With NANOCLAW_LONG_TESTS=1, what is tried a few times in every run is tried as often as it takes to trust it. */
export const LONG = process.env.NANOCLAW_LONG_TESTS === '1'

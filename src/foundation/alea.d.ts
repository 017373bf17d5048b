/** seedrandom's alea variant, loaded alone: the package's main file brings six more generators into every worker. */
declare module 'seedrandom/lib/alea.js' {
  interface Alea {
    /** 32 bits, 0 ≤ x < 1 */
    (): number;
    /** 53 bits, 0 ≤ x < 1 */
    double(): number;
  }
  function alea(seed: string): Alea;
  export = alea;
}

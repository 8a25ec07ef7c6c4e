/** How much of a tenant is decoded and waits for its turn, over all of its destinations. */
export class TenantLoad {
  readonly tenant: string;
  /** For a token, a slot, a connection. */
  waiting = 0;
  /** For another of their key to end, at destinations that ask for order. */
  behindKeys = 0;
  /** Nothing more of it is decoded for now. */
  isParked = false;

  constructor(tenant: string) {
    this.tenant = tenant;
  }
}

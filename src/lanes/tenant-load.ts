/** How much of a tenant is decoded and waits for its turn, over all of its destinations. */
export class TenantLoad {
  readonly tenant: string;
  waiting = 0;
  /** Nothing more of it is decoded for now. */
  isParked = false;

  constructor(tenant: string) {
    this.tenant = tenant;
  }
}

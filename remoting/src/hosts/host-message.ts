import type { Limits, PluginSpec, TimeSlice } from '@axle/core/internal';

import type { TokenRecord } from '../trust/tokens.js';

/** What a server tells a device host as it starts it. Goes over Node's channel between the two, which only they have. */
export interface HostSettings {
  readonly plugin: PluginSpec;
  /** Only this one of the plugin's devices; undefined: all. */
  readonly device: number | undefined;
  readonly decodesImages: boolean;
  /** Path of the socket to listen on. */
  readonly socket: string;
  /** Of the only one who may connect. */
  readonly token: TokenRecord;
  /** Folders of the operator's models. */
  readonly models: readonly string[];
  /** Folder for models of tenants, and the most that they may take, bytes. */
  readonly store: string;
  readonly storeBytes: number;
  /** Of the server's own store: files that are there are linked to rather than sent. */
  readonly lender: string | undefined;
  readonly limits: Limits;
  readonly shares: TenantShares;
}

/** What a tenant has of a device. */
export interface TenantShare {
  /** Of its time. */
  readonly weight: number;
  /** Of its queue, tasks; undefined: as the limits say. */
  readonly queueDepth?: number | undefined;
  /** Of its time; undefined: as the weight says. */
  readonly slice?: TimeSlice | undefined;
}

export interface TenantShares {
  readonly others: TenantShare;
  readonly named: Readonly<Record<string, TenantShare>>;
}

/** To a device host. */
export type ToHost =
  | { readonly kind: 'start'; readonly settings: HostSettings }
  | { readonly kind: 'shares'; readonly shares: TenantShares }
  /** The server has no more use for the model. */
  | { readonly kind: 'unload'; readonly contentId: string }
  /** How many tasks wait for its devices? */
  | { readonly kind: 'waiting' }
  | { readonly kind: 'ping' }
  /** The end of the channel is meant: nothing is under way, and it may close what it has. */
  | { readonly kind: 'dismiss' };

/** From a device host. */
export type FromHost =
  | { readonly kind: 'up'; readonly devices: number; readonly unavailable: string | undefined }
  | { readonly kind: 'failed'; readonly message: string }
  /** Tasks that wait for its devices, by the content of their models. */
  | { readonly kind: 'waiting'; readonly byModel: Readonly<Record<string, number>> }
  /** Its event loop turns. */
  | { readonly kind: 'pong' };

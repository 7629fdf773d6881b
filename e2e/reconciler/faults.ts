/**
 * Kills a connection at its n-th request: that request, and every later one, comes to nothing, as if the process had died
 * there. `before`: the request is never sent. `after`: it is carried out, and its answer lost.
 */
import type { Dispatcher } from 'undici';

export interface Crash {
  readonly interceptor: Dispatcher.DispatcherComposeInterceptor;
  /** Requests from here on are counted. */
  arm(): void;
  readonly happened: boolean;
  /** Resolves when it has. */
  readonly happening: Promise<void>;
  /** The request that it hit. */
  readonly at: string;
}

export function createCrash(n: number, when: 'before' | 'after'): Crash {
  const { promise: happening, resolve } = Promise.withResolvers<void>();
  let armed = false;
  let count = 0;
  let at = '';
  let dead = false;
  return {
    arm() {
      armed = true;
    },
    get happened() {
      return dead;
    },
    happening,
    get at() {
      return at;
    },
    interceptor: (dispatch) => (options, handler) => {
      if (dead) throw new Error('the process is dead');
      // Watches come and go with time, not with what is done.
      if (!armed || options.path.includes('watch=true')) return dispatch(options, handler);
      count += 1;
      if (count < n) return dispatch(options, handler);
      dead = true;
      at = `${options.method} ${options.path}`;
      if (when === 'before') {
        resolve();
        throw new Error('the process died before this request');
      }
      return dispatch(options, answerLost(handler, resolve));
    },
  };
}

function answerLost(handler: Dispatcher.DispatchHandler, done: () => void): Dispatcher.DispatchHandler {
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onResponseStart: () => undefined,
    onResponseData: () => undefined,
    onResponseEnd(controller) {
      done();
      handler.onResponseError?.(controller, new Error('the process died before this answer'));
    },
    onResponseError(controller, error) {
      done();
      handler.onResponseError?.(controller, error);
    },
  };
}

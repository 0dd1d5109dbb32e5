// Lets the tree that a component drew before go, when the component draws itself anew.
//
// An element keeps the elements that it was made with in its properties. When one of those draws itself anew (a
// signal that it reads has changed, its parent has nothing new to say), Preact (11.2) puts a copy in its place; what
// stays in the parent's properties is the first one, and with it all that it drew first. Elements that did not
// change are handed on to their successors, so from an old tree a way leads to every later one: a page that follows a
// running sweep kept them all, a megabyte a second. Preact cuts the first one's way up to its parents, but not the
// one down. The names are Preact's own, shortened: a component's element (__v), an element's component (__c) and
// children (__k), the end of a drawing (options.__c). tests/browser/memory_test.mjs tells whether they still hold.
import { options } from 'preact';

const hooks = options as any;
const before: any[] = [];

const made = hooks.vnode;
hooks.vnode = (element: any) => {
  if (element.__c) before.push(element.__c.__v); // only the copy in a new drawing has a component already
  made?.(element);
};

const drawn = hooks.__c;
hooks.__c = (root: any, queue: any) => {
  drawn?.(root, queue);
  for (const element of before) element.__k = null;
  before.length = 0;
};

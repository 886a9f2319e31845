;; Grows three memories by 2 MiB each; each alone would be allowed.
(core module $hoard
  (memory 1)
  (func (export "grow") (drop (memory.grow (i32.const 31)))))
(core instance $a (instantiate $hoard))
(core instance $b (instantiate $hoard))
(core instance $c (instantiate $hoard))
(core module $guest
  (import "a" "grow" (func $a))
  (import "b" "grow" (func $b))
  (import "c" "grow" (func $c))
  (memory (export "memory") 1)
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
  (func (export "derive") (param i32) (result i32)
    (call $a) (call $b) (call $c)
    unreachable))
(core instance $guest (instantiate $guest
  (with "a" (instance $a)) (with "b" (instance $b)) (with "c" (instance $c))))

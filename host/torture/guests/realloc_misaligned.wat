;; Wants the facts written between two words.
(global $calls (mut i32) (i32.const 0))
(func (export "realloc") (param i32 i32 i32 i32) (result i32)
  (i32.or (i32.const 4096) (i32.ne (local.get 2) (i32.const 1))))

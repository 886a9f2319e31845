;; Writes behind its memory, across the boundary.
(func (export "derive") (param i32) (result i32)
  (i64.store (i32.const 65529) (i64.const -1))
  (i32.const 16))

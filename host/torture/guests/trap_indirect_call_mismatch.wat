;; Calls a function as if it were of another type.
(type $other (func (param i64) (result i32)))
(table 1 funcref)
(func $f)
(elem (i32.const 0) $f)
(func (export "derive") (param i32) (result i32)
  (call_indirect (type $other) (i64.const 0) (i32.const 0)))

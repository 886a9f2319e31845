;; Calls a function behind its table.
(type $f (func (result i32)))
(table 1 funcref)
(func (export "derive") (param i32) (result i32)
  (call_indirect (type $f) (i32.const -1)))

;; Never answers, without a loop: two functions call each other by a table.
(type $step (func (param i32) (result i32)))
(table 2 funcref)
(elem (i32.const 0) $one $other)
(func $one (type $step)
  (drop (call_indirect (type $step) (i32.const 0) (i32.const 1)))
  (i32.const 0))
(func $other (type $step)
  (i32.const 0))
(func (export "derive") (param i32) (result i32)
  (loop $again
    (drop (call_indirect (type $step) (i32.const 0) (i32.const 0)))
    (br $again))
  unreachable)

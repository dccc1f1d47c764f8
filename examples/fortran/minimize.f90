! SPDX-License-Identifier: Apache-2.0
! minimize.f90: a Fortran program that tunes a function of its own: ask, report, tell.
!
!   gfortran hpt_fortran.f90 minimize.f90 $(pkg-config --cflags --libs hpt_gpu) -o minimize_f && ./minimize_f
program minimize
   use, intrinsic :: iso_c_binding
   use hpt_fortran
   implicit none
   type(c_ptr) :: space, study, trial
   real(c_double) :: x, loss(1), best_x
   integer(c_int64_t) :: k
   integer :: i, step
   logical(c_bool) :: prune

   call check(hpt_space_create(space))
   call check(hpt_space_add_float(space, "x" // c_null_char, -5.0_c_double, 5.0_c_double, 0.0_c_double, 0))
   call check(hpt_space_add_int(space, "k" // c_null_char, 1_c_int64_t, 8_c_int64_t, 1_c_int64_t, 0))
   call check(hpt_study_open_memory(study, space, "auto", 7_c_int64_t))
   call hpt_space_destroy(space)

   do i = 1, 80
      call check(hpt_study_ask(trial, study))
      call check(hpt_trial_get_float(x, trial, "x" // c_null_char))
      call check(hpt_trial_get_int(k, trial, "k" // c_null_char))
      loss(1) = (x - 2.0_c_double)**2 + 0.1_c_double*abs(k - 3)
      do step = 1, 3
         call check(hpt_trial_report(trial, int(step, c_int64_t), loss(1) + 1.0_c_double/step))
      end do
      call check(hpt_trial_should_prune(prune, trial))
      call check(hpt_study_tell(study, trial, HPT_COMPLETE, loss, 1_c_int64_t))
      call hpt_trial_destroy(trial)
   end do

   call check(hpt_study_best(trial, study))
   call check(hpt_trial_get_float(best_x, trial, "x" // c_null_char))
   call check(hpt_trial_get_int(k, trial, "k" // c_null_char))
   print '(a, i0, a, f8.4, a, i0)', "best trial ", hpt_trial_number(trial), ": x =", best_x, ", k = ", k
   call hpt_trial_destroy(trial)
   call hpt_study_close(study)
   if (abs(best_x - 2.0_c_double) > 1.0_c_double) error stop "the best x is far from 2"

contains

   subroutine check(status)
      integer(c_int), intent(in) :: status
      if (status < 0) then
         print '(a)', "minimize: " // hpt_error_text()
         error stop 1
      end if
   end subroutine

end program minimize

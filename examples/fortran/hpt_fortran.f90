! SPDX-License-Identifier: Apache-2.0
! hpt_fortran.f90: the part of hpt.h that a Fortran loop needs, through ISO_C_BINDING.
!
! Handles are type(c_ptr); strings are passed with a trailing c_null_char. Every function returns a status: 0 success,
! negative an error (hpt_error_text gives the line), positive a remark.
module hpt_fortran
   use, intrinsic :: iso_c_binding
   implicit none
   private
   public :: hpt_space_create, hpt_space_destroy, hpt_space_add_float, hpt_space_add_int
   public :: hpt_study_open_memory, hpt_study_close, hpt_study_ask, hpt_study_tell, hpt_study_best
   public :: hpt_trial_destroy, hpt_trial_number, hpt_trial_get_float, hpt_trial_get_int
   public :: hpt_trial_report, hpt_trial_should_prune, hpt_error_text
   public :: hpt_study_options, HPT_LOG_SCALE, HPT_COMPLETE, HPT_PRUNED, HPT_FAILED

   integer(c_int), parameter :: HPT_LOG_SCALE = 1
   integer(c_int), parameter :: HPT_COMPLETE = 1, HPT_PRUNED = 2, HPT_FAILED = 3

   ! Mirrors hpt_study_options of hpt/study.h, field by field.
   type, bind(c) :: hpt_study_options
      integer(c_size_t) :: struct_size = 0
      type(c_ptr) :: name = c_null_ptr, storage = c_null_ptr, space = c_null_ptr, directions = c_null_ptr
      integer(c_int64_t) :: n_directions = 0
      type(c_ptr) :: sampler = c_null_ptr, pruner = c_null_ptr
      integer(c_int64_t) :: seed = 0
      logical(c_bool) :: has_seed = .false.
      integer(c_int) :: mode = 0
      type(c_ptr) :: device = c_null_ptr, options = c_null_ptr
      integer(c_int64_t) :: n_options = 0
   end type hpt_study_options

   interface
      integer(c_int) function hpt_space_create(space) bind(c)
         import :: c_int, c_ptr
         type(c_ptr), intent(out) :: space
      end function
      subroutine hpt_space_destroy(space) bind(c)
         import :: c_ptr
         type(c_ptr), value :: space
      end subroutine
      integer(c_int) function hpt_space_add_float(space, name, low, high, step, flags) bind(c)
         import :: c_int, c_ptr, c_char, c_double
         type(c_ptr), value :: space
         character(kind=c_char), intent(in) :: name(*)
         real(c_double), value :: low, high, step
         integer(c_int), value :: flags
      end function
      integer(c_int) function hpt_space_add_int(space, name, low, high, step, flags) bind(c)
         import :: c_int, c_ptr, c_char, c_int64_t
         type(c_ptr), value :: space
         character(kind=c_char), intent(in) :: name(*)
         integer(c_int64_t), value :: low, high, step
         integer(c_int), value :: flags
      end function
      integer(c_int) function hpt_study_open(study, options) bind(c)
         import :: c_int, c_ptr, hpt_study_options
         type(c_ptr), intent(out) :: study
         type(hpt_study_options), intent(in) :: options
      end function
      subroutine hpt_study_close(study) bind(c)
         import :: c_ptr
         type(c_ptr), value :: study
      end subroutine
      integer(c_int) function hpt_study_ask(trial, study) bind(c)
         import :: c_int, c_ptr
         type(c_ptr), intent(out) :: trial
         type(c_ptr), value :: study
      end function
      integer(c_int) function hpt_study_tell(study, trial, state, values, n_values) bind(c)
         import :: c_int, c_ptr, c_double, c_int64_t
         type(c_ptr), value :: study, trial
         integer(c_int), value :: state
         real(c_double), intent(in) :: values(*)
         integer(c_int64_t), value :: n_values
      end function
      integer(c_int) function hpt_study_best(trial, study) bind(c)
         import :: c_int, c_ptr
         type(c_ptr), intent(out) :: trial
         type(c_ptr), value :: study
      end function
      subroutine hpt_trial_destroy(trial) bind(c)
         import :: c_ptr
         type(c_ptr), value :: trial
      end subroutine
      integer(c_int64_t) function hpt_trial_number(trial) bind(c)
         import :: c_int64_t, c_ptr
         type(c_ptr), value :: trial
      end function
      integer(c_int) function hpt_trial_get_float(value, trial, name) bind(c)
         import :: c_int, c_ptr, c_char, c_double
         real(c_double), intent(out) :: value
         type(c_ptr), value :: trial
         character(kind=c_char), intent(in) :: name(*)
      end function
      integer(c_int) function hpt_trial_get_int(value, trial, name) bind(c)
         import :: c_int, c_ptr, c_char, c_int64_t
         integer(c_int64_t), intent(out) :: value
         type(c_ptr), value :: trial
         character(kind=c_char), intent(in) :: name(*)
      end function
      integer(c_int) function hpt_trial_report(trial, step, value) bind(c)
         import :: c_int, c_ptr, c_int64_t, c_double
         type(c_ptr), value :: trial
         integer(c_int64_t), value :: step
         real(c_double), value :: value
      end function
      integer(c_int) function hpt_trial_should_prune(prune, trial) bind(c)
         import :: c_int, c_ptr, c_bool
         logical(c_bool), intent(out) :: prune
         type(c_ptr), value :: trial
      end function
      type(c_ptr) function hpt_last_error() bind(c)
         import :: c_ptr
      end function
      integer(c_size_t) function c_strlen(text) bind(c, name="strlen")
         import :: c_size_t, c_ptr
         type(c_ptr), value :: text
      end function
   end interface

contains

   ! A study in memory that minimises one value over space.
   integer(c_int) function hpt_study_open_memory(study, space, sampler, seed) result(status)
      type(c_ptr), intent(out) :: study
      type(c_ptr), intent(in) :: space
      character(len=*), intent(in) :: sampler
      integer(c_int64_t), intent(in) :: seed
      character(kind=c_char, len=:), allocatable, target :: name
      type(hpt_study_options) :: options
      name = sampler // c_null_char
      options%struct_size = c_sizeof(options)
      options%space = space
      options%sampler = c_loc(name)
      options%seed = seed
      options%has_seed = .true._c_bool
      status = hpt_study_open(study, options)
   end function

   function hpt_error_text() result(text)
      character(len=:), allocatable :: text
      character(kind=c_char), pointer :: bytes(:)
      type(c_ptr) :: message
      integer :: i, n
      message = hpt_last_error()
      n = int(c_strlen(message))
      call c_f_pointer(message, bytes, [n])
      allocate (character(len=n) :: text)
      do i = 1, n
         text(i:i) = bytes(i)
      end do
   end function

end module hpt_fortran
